package netio_test

import (
	"io"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// growing reports whether buffers grow on a transport: elsewhere TLS is read a
// record at a time.
func growing(tr transport) bool { return tr.raw || tr.tls == nil }

// streams has the peer send without an end, and tells what has been received yet.
func (r *rig) streams(t *testing.T) (next func() (received int)) {
	piece := pattern(1 << 20)
	r.start(func() {
		for {
			if _, err := io.WriteString(r.far, piece); err != nil {
				return
			}
		}
	})
	return func() int {
		if err := within(t, r.Fill); err != nil {
			t.Fatal(err)
		}
		n := len(r.Buffered())
		r.Consume(n)
		return n
	}
}

// ends ends what streams began.
func (r *rig) ends() {
	r.near.Close()
	r.aside.Wait()
	r.Done()
}

func TestBufferGrowsWhileBytesStream(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		next := r.streams(t)
		for r.Size() < netio.LargestBuffer {
			next()
		}
		if lent := r.Lent(); lent != netio.LargestBuffer {
			t.Errorf("%d bytes of large buffers are in use", lent)
		}
		r.ends()
		if lent := r.Lent(); lent != 0 {
			t.Errorf("%d bytes of large buffers are in use after the connection's end", lent)
		}
	})
}

func TestBufferShrinksWhenBytesTrickle(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.Grow()
		for range 3 {
			r.sends("x")
			r.await(0)
			r.expect(t, "x")
			r.Consume(1)
			r.aside.Wait()
		}
		if r.Size() != netio.BufferSize || r.Lent() != 0 {
			t.Errorf("a buffer of %d bytes, %d in large ones", r.Size(), r.Lent())
		}
	})
}

// TestSlowConsumerHasASmallBuffer passes bytes on more slowly than they come.
func TestSlowConsumerHasASmallBuffer(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		next := r.streams(t)
		for range 20 {
			next()
			r.Age(time.Second)
			if r.Size() != netio.BufferSize {
				t.Fatalf("a buffer of %d bytes", r.Size())
			}
		}
		r.ends()
	})
}

func TestLargeBuffersAreBounded(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.Lend(netio.LargeBuffers)
		next := r.streams(t)
		for range 20 {
			next()
			if r.Size() != netio.BufferSize || r.Lent() != netio.LargeBuffers {
				t.Fatalf("a buffer of %d bytes, %d in large ones", r.Size(), r.Lent())
			}
		}
		r.ends()
	})
}

// TestTurnsBeginSmall reads requests on a connection that streamed before.
func TestTurnsBeginSmall(t *testing.T) {
	each(t, growing, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.Grow()
		r.sends("request")
		r.await(0)
		err := within(t, func() error {
			return r.Turns(func() bool {
				if r.Size() != netio.BufferSize {
					t.Errorf("a buffer of %d bytes", r.Size())
				}
				return false
			})
		})
		r.wantErr(t, err, nil)
	})
}
