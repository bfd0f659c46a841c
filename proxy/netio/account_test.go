package netio_test

import (
	"errors"
	"io"
	"testing"

	"github.com/hopscope/hopscope/proxy/netio"
)

// anyTransport is all of them.
func anyTransport(transport) bool { return true }

// TestBufferIsCounted: what a read buffer takes is counted as long as it is borrowed,
// also where it has grown.
func TestBufferIsCounted(t *testing.T) {
	each(t, anyTransport, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		send := func(n int) {
			r.start(func() { io.WriteString(r.far, pattern(n)) })
			for want := len(r.Buffered()) + n; len(r.Buffered()) < want; {
				if err := within(t, r.Fill); err != nil {
					t.Fatal(err)
				}
			}
		}
		send(1000)
		if held := r.Account.Held(); held != netio.BufferSize {
			t.Errorf("%d bytes are counted for a buffer of %d", held, netio.BufferSize)
		}
		send(3 * netio.BufferSize)
		if held, size := r.Account.Held(), r.Size(); held != int64(size) || size <= netio.BufferSize {
			t.Errorf("%d bytes are counted for a buffer of %d, which had to grow", held, size)
		}
		r.Consume(len(r.Buffered()))
		r.Release()
		if held := r.Account.Held(); held != 0 {
			t.Errorf("%d bytes are counted for no buffer", held)
		}
	})
}

// TestBufferGrowsWithinBudget: where memory is short, a buffer that is full of what
// can't be consumed does not grow, and the read says so.
func TestBufferGrowsWithinBudget(t *testing.T) {
	each(t, anyTransport, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		budget := r.Account.Budget()
		budget.SetLimit(netio.BufferSize)
		r.start(func() { io.WriteString(r.far, pattern(2*netio.BufferSize)) })
		var err error
		for err == nil {
			err = within(t, r.Fill)
		}
		if !errors.Is(err, netio.ErrOverload) {
			t.Errorf("the read ended with %v", err)
		}
		if n := len(r.Buffered()); n != netio.BufferSize {
			t.Errorf("%d bytes are buffered, want %d", n, netio.BufferSize)
		}
		r.ends()
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are in use after the connection's end", used)
		}
	})
}

// TestNoLargeBufferWhereMemoryIsShort: content that streams fast gets no larger
// buffer then.
func TestNoLargeBufferWhereMemoryIsShort(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		budget := r.Account.Budget()
		budget.SetLimit(2 * netio.BufferSize)
		budget.Take(netio.BufferSize)
		next := r.streams(t)
		for received := 0; received < 4<<20; {
			received += next()
			if size := r.Size(); size > netio.BufferSize {
				t.Fatalf("the buffer has %d bytes", size)
			}
		}
		r.ends()
	})
}
