//go:build !linux

package handover

import (
	"errors"
	"os"
)

func anonymous(string) (*os.File, error) { return nil, errors.ErrUnsupported }
