//go:build unix && !linux

package backends

import "syscall"

// processGroup makes a server the leader of a process group, to be killed as a whole.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// listens cannot tell here whose a listening socket is, and believes the server.
func listens(pid int, addresses []string) error { return nil }
