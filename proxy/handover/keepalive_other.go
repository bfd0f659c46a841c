//go:build !linux

package handover

import "net"

// keepAlive listens with TCP's keep-alive as package net has it.
var keepAlive net.ListenConfig
