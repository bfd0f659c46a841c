//go:build race

package clitest

// raced is whether these tests run with the race detector: the program then
// does, too.
const raced = true
