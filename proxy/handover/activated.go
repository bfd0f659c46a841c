package handover

import (
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstActivated is the first descriptor that a supervisor passes.
const firstActivated = 3

// Activated returns the listening sockets that a supervisor opened for this process, by the
// protocol of sd_listen_fds(3): LISTEN_FDS in the environment counts them, and they are for
// the process LISTEN_PID alone. Their kind and name are for the caller to set. On an error
// there are none.
func Activated(getenv func(string) string, pid int) (all []Socket, err error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%s: it is no number of sockets", getenv("LISTEN_FDS"))
	}
	defer func() {
		if err != nil {
			for _, s := range all {
				s.Listener.Close()
			}
			all = nil
		}
	}()
	for fd := firstActivated; fd < firstActivated+n; fd++ {
		unix.CloseOnExec(fd)
		socket, err := openListening(fd)
		if err != nil {
			return all, fmt.Errorf("LISTEN_FDS: descriptor %d: %w", fd, err)
		}
		all = append(all, Socket{Address: socket.Addr().String(), Listener: socket})
		tcp, ok := socket.(*net.TCPListener)
		if !ok {
			return all, fmt.Errorf("LISTEN_FDS: descriptor %d is no TCP socket", fd)
		}
		if raw, err := tcp.SyscallConn(); err == nil && keepAlive.Control != nil {
			_ = keepAlive.Control("tcp", socket.Addr().String(), raw) // without it a client that vanished is noticed later
		}
	}
	return all, nil
}
