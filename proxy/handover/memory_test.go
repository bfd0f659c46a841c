package handover

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// What a process knows goes along with its sockets, however much that is. One that
// can't say it hands the sockets over all the same.
func TestMemoryIsHandedOver(t *testing.T) {
	large := bytes.Repeat([]byte("what is known "), 1<<18) // more than a message can hold
	for name, tt := range map[string]struct {
		memory func() ([]byte, error)
		want   []byte
	}{
		"none":    {nil, nil},
		"nothing": {func() ([]byte, error) { return nil, nil }, nil},
		"little":  {func() ([]byte, error) { return []byte("{}"), nil }, []byte("{}")},
		"much":    {func() ([]byte, error) { return large, nil }, large},
		"error":   {func() ([]byte, error) { return nil, errors.New("no") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			address := filepath.Join(t.TempDir(), "s")
			s, err := Listen(address)
			if err != nil {
				t.Fatal(err)
			}
			socket := listen(t)
			var wg sync.WaitGroup
			wg.Go(func() {
				s.Serve(Offer{Version: "v1", Log: slog.New(slog.DiscardHandler), Memory: tt.memory, Sockets: func() ([]Socket, error) {
					own, err := Dup(socket)
					return []Socket{{"listener", "l", "127.0.0.1:0", own}}, err
				}})
			})
			t.Cleanup(func() {
				s.Close()
				wg.Wait()
			})
			taken, err := Take(t.Context(), address, "v2")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			if !bytes.Equal(taken.Memory, tt.want) {
				t.Errorf("%d bytes came, want %d", len(taken.Memory), len(tt.want))
			}
			if len(taken.Sockets) != 1 || taken.Server == nil {
				t.Errorf("%d sockets, server %v", len(taken.Sockets), taken.Server)
			}
		})
	}
}

// An earlier hopscope, which knows nothing of it, takes the file for a socket that is
// none, and closes it.
func TestMemoryIsNoSocket(t *testing.T) {
	fd, err := memoryFile([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if socket, err := openListening(fd); err == nil {
		t.Errorf("%v is taken for a socket", socket.(net.Listener).Addr())
	}
	if err := closed(fd); err == nil {
		t.Error("the file stays open")
	}
}

// closed returns an error for a descriptor that is none any more.
func closed(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err
}
