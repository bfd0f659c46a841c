package mesh

import "syscall"

// processGroup makes a child the leader of a process group, and has the kernel kill it
// should this process die.
func processGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
