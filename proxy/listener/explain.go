package listener

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// unbound says why an address could not be bound, and what to do.
type unbound struct {
	words string
	error
}

func (u *unbound) Error() string { return u.words }
func (u *unbound) Unwrap() error { return u.error }

// explain says what to do about an address that could not be bound.
func explain(address string, err error) error {
	words := fmt.Sprintf("address %s: %v", address, err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		words = fmt.Sprintf("address %s is already in use: stop what listens there, or choose another port", address)
	case errors.Is(err, syscall.EACCES), errors.Is(err, os.ErrPermission):
		words = fmt.Sprintf("address %s may not be bound: ports below 1024 need root or CAP_NET_BIND_SERVICE", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		words = fmt.Sprintf("address %s is not one of this machine's", address)
	}
	return &unbound{words, err}
}
