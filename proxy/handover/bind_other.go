//go:build !linux

package handover

import "errors"

var errLinuxOnly = errors.New("two sockets listen on addresses that overlap on Linux only: go over by way of another port, or restart")

func share(int, bool) error { return errLinuxOnly }

func shun(int) error { return errLinuxOnly }

func queued(int) (bool, error) { return false, errLinuxOnly }
