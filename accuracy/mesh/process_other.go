//go:build unix && !linux

package mesh

import "syscall"

// processGroup makes a child the leader of a process group.
func processGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
