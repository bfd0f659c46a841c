package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Listen opens the Unix socket over which other processes take over: a path, or "@" and a
// name in Linux's abstract namespace. Only this user can open the path. Listen replaces
// the socket that an earlier process left there, unless somebody listens on it.
func Listen(address string) (*Server, error) {
	if !Supported {
		return nil, fmt.Errorf("%s: sockets are handed over on Linux only", address)
	}
	socket, err := listenUnix(address)
	if errors.Is(err, syscall.EADDRINUSE) && !abstract(address) {
		if err = removeStale(address); err == nil {
			socket, err = listenUnix(address)
		}
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: another process listens there; choose another upgrade_socket", address)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return newServer(socket), nil
}

func listenUnix(address string) (*net.UnixListener, error) {
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: address})
	if err != nil {
		return nil, reason(err)
	}
	if !abstract(address) {
		// A process that connects before this is refused all the same, see trusted.
		if err := os.Chmod(address, 0o600); err != nil {
			socket.Close()
			return nil, reason(err)
		}
	}
	return socket, nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return reason(err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("it exists and is not a socket: remove it, or choose another upgrade_socket")
	}
	c, err := net.DialTimeout("unix", path, answerTime)
	switch {
	case err == nil:
		c.Close()
		return syscall.EADDRINUSE
	case !errors.Is(err, syscall.ECONNREFUSED):
		return reason(err)
	}
	return reason(os.Remove(path))
}

// reason strips the address from an error, since the message has it already.
func reason(err error) error {
	if at, ok := errors.AsType[*net.OpError](err); ok {
		err = at.Err
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err
	}
	return err
}

// abstract reports whether an address is in the abstract namespace, not a path.
func abstract(address string) bool { return strings.HasPrefix(address, "@") }

// turnTime is how long a process that wants to take over waits while another does. The
// other one may just have ended, and the server may not have noticed yet.
const turnTime = time.Second

// answerTime is how long the other side may take for each message, except for "ready".
const answerTime = 10 * time.Second
