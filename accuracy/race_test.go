//go:build race

package main

// raced reports whether these tests run with the race detector. The sidecars are then
// built with it, too.
const raced = true
