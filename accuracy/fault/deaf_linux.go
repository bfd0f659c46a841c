package fault

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// deafAddress is an address to which no connection comes to be, as behind a firewall that
// drops packets: its queue of connections is full, and nobody takes one.
func deafAddress() (address string, close func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return "", nil, err
	}
	close = func() { unix.Close(client); unix.Close(fd) }
	address, err = fillQueue(fd, client)
	if err != nil {
		close()
		return "", nil, err
	}
	return address, close, nil
}

// fillQueue lets fd listen with the shortest queue, and fills it with a connection.
func fillQueue(fd, client int) (string, error) {
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	if err := unix.Listen(fd, 0); err != nil {
		return "", err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	if err := unix.Connect(client, name); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return "", err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return "", err
		}
		if info.Unacked > info.Sacked { // of a listener: the length of its queue, and the limit
			return fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), nil
		}
	}
	return "", errors.New("the queue of connections does not fill")
}
