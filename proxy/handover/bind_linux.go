package handover

import (
	"os"

	"golang.org/x/sys/unix"
)

// share allows or forbids other sockets of this user to listen on the socket's address,
// too.
func share(fd int, yes bool) error {
	value := 0
	if yes {
		value = 1
	}
	return os.NewSyscallError("setsockopt SO_REUSEPORT", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value))
}

// shun makes a listening socket drop new connections (SYN) and accept the rest of
// handshakes that have begun.
func shun(fd int) error {
	const flags, syn = 13, 0x02 // of a TCP header
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// queued reports whether connections wait to be accepted.
func queued(fd int) (bool, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return false, err
	}
	return info.Unacked > 0, nil // for a listening socket this is its queue
}
