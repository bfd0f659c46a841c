//go:build !race

package clitest

// raced reports whether these tests run with the race detector. The program is then
// built with it, too.
const raced = false
