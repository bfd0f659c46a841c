//go:build !linux

package handover

import "errors"

var errLinuxOnly = errors.New("overlapping addresses can be bound at once on Linux only: change to another port first, or restart")

func share(int, bool) error { return errLinuxOnly }

func shun(int) error { return errLinuxOnly }

func queued(int) (bool, error) { return false, errLinuxOnly }
