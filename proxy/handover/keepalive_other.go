//go:build !linux

package handover

import "net"

// keepAlive listens with the TCP keep-alive of package net.
var keepAlive net.ListenConfig
