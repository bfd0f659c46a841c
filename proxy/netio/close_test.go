package netio_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestCloseWakesAReader closes from aside, before the wait or within it.
func TestCloseWakesAReader(t *testing.T) {
	eachWait(t, func(t *testing.T, r *rig, wait func() error) {
		r.await(0)
		r.start(func() { r.Close() })
		err := within(t, wait)
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("it ended with %v", err)
		}
		r.wantErr(t, err, err)
	})
}

// TestCloseWhileItWaits closes when the wait has begun for certain: its peer
// has got the request, and it has been woken to look again.
func TestCloseWhileItWaits(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		waits := make(chan struct{}, 1)
		r.Watch(func() bool {
			select {
			case waits <- struct{}{}:
			default:
			}
			return false
		})
		r.await(0)
		r.start(func() {
			io.ReadFull(r.far, make([]byte, len("request")))
			<-waits
			r.Close()
		})
		sent, err := r.exchange(t, "request", "")
		if sent == 0 || !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("sent %d, %v", sent, err)
		}
	})
}

func TestDone(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.sends("unread")
		r.await(late)
		r.expect(t, "unread")
		r.Done()
		if r.Size() > 0 || r.Borrows() {
			t.Error("it keeps its buffer")
		}
		if r.Timing() {
			t.Error("the timer still runs")
		}
		if err := within(t, r.Fill); err == nil {
			t.Error("it can still be read from")
		}
		r.Done()
	})
}

// TestDoneIsFinal ends a connection while another goroutine limits it, as a
// listener that drains does: with and without a timer that was ever started.
func TestDoneIsFinal(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		for i := range 50 {
			r := newRig(t, tr)
			if i%2 == 0 {
				r.await(late)
			}
			r.start(func() { r.Limit(1) })
			r.Done()
			r.Limit(r.Now() + time.Millisecond)
			r.await(soon)
		}
	})
}
