package filter

import (
	"context"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// lookEvery is how often it is looked whether the client still waits.
const lookEvery = 25 * time.Millisecond

// Now is the time on the clock of deadlines, on which Began is.
func (x *Exchange) Now() time.Duration { return x.Began + time.Since(x.Hop.Start) }

// Wait waits for d. It returns early, with a fault.Error, when the client goes away, when
// the proxy stops waiting for anything, or when the request's time is over.
func (x *Exchange) Wait(d time.Duration) error { return x.wait(time.Now().Add(d), nil) }

// WaitFor is Wait that also ends when stop is closed.
func (x *Exchange) WaitFor(d time.Duration, stop <-chan struct{}) error {
	return x.wait(time.Now().Add(d), stop)
}

// wait is Wait until a time, or until stop is closed.
func (x *Exchange) wait(at time.Time, stop <-chan struct{}) error {
	gone := x.Conn.Gone()
	for {
		if err := x.over(gone); err != nil {
			return err
		}
		left := time.Until(at)
		if left <= 0 {
			return nil
		}
		if x.Until > 0 {
			left = min(left, x.Until-time.Since(x.Hop.Start))
		}
		select {
		case <-time.After(min(left, lookEvery)):
		case <-x.Context.Done():
		case <-stop:
			return nil
		}
	}
}

// Call calls do with a context that ends when the client goes away, when the proxy stops
// waiting for anything, or when the request's time is over; its cause is a fault.Error
// that says which. It is for calls of other services by filters. do must not use the
// exchange: the client is watched meanwhile.
func (x *Exchange) Call(do func(context.Context) error) error {
	const forever = 1 << 62
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.Context))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := x.wait(time.Now().Add(forever), ctx.Done()); err != nil {
			cancel(err)
		}
	}()
	err := do(ctx)
	cancel(nil)
	<-done
	return err
}

// over is why the request is not worth waiting for any more, nil if it is.
func (x *Exchange) over(gone func() bool) error {
	switch {
	case x.Context.Err() != nil:
		return fault.New(fault.Draining, "the proxy is shutting down")
	case gone != nil && gone():
		return x.left()
	case x.Until > 0 && time.Since(x.Hop.Start) >= x.Until:
		return fault.New(fault.UpstreamTimeout, "the request's time was over while it waited")
	}
	return nil
}

// Gone is how the client went away, as a fault.Error; nil while it is there.
func (x *Exchange) Gone() error {
	if gone := x.Conn.Gone(); gone == nil || !gone() {
		return nil
	}
	return x.left()
}

func (x *Exchange) left() error {
	if left := x.Conn.Left(); left != nil {
		return left
	}
	return fault.New(fault.ClientClosed, "the client closed the connection before it had a response")
}
