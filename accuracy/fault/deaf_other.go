//go:build !linux

package fault

// deafAddress is made on Linux alone.
func deafAddress() (address string, close func(), err error) { return "", nil, ErrCannot }
