package proxytest

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// DeafAddress is an address to which no connection comes to be: its queue of connections
// is full, and nobody takes one.
func DeafAddress(t testing.TB) string {
	t.Helper()
	fd, address := Bound(t)
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	// One connection fills the queue.
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(client) })
	name, err := unix.Getsockname(fd)
	if err == nil {
		err = unix.Connect(client, name)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		t.Fatal(err)
	}
	Eventually(t, "the queue being full", func() bool {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		return info.Unacked > info.Sacked // of a listener: the length of its queue, and the limit
	})
	return address
}
