package listener

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// explain says what to do about an address that could not be bound.
func explain(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("address %s is already in use: stop what listens there, or choose another port", address)
	case errors.Is(err, syscall.EACCES), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("address %s may not be bound: ports below 1024 need root or CAP_NET_BIND_SERVICE", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("address %s is not one of this machine's", address)
	}
	return fmt.Errorf("address %s: %w", address, err)
}
