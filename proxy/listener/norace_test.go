//go:build !race

package listener

// race tells that the race detector is at work.
const race = false
