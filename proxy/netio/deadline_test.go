package netio_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

const (
	soon = 20 * time.Millisecond
	late = 10 * time.Minute
)

func TestAwaitEndsAWait(t *testing.T) {
	cases := []struct {
		name  string
		begin func(r *rig) (by time.Duration)
	}{
		{"soon", func(r *rig) time.Duration { return r.await(soon) }},
		{"after it was rechecked", func(r *rig) time.Duration { return r.await(3 * netio.Recheck) }},
		{"moved earlier", func(r *rig) time.Duration { r.await(late); return r.await(soon) }},
		{"set after none", func(r *rig) time.Duration { r.await(0); return r.await(soon) }},
		{"moved later, but not far", func(r *rig) time.Duration { r.await(soon / 4); return r.await(soon) }},
		{"past already", func(r *rig) time.Duration { return r.await(-soon) }},
		{"by a limit", func(r *rig) time.Duration { r.await(late); return limit(r, soon) }},
		{"by a limit without Await", func(r *rig) time.Duration { return limit(r, soon) }},
		{"by a limit before it", func(r *rig) time.Duration { by := limit(r, soon); r.await(late); return by }},
		{"by a limit that is past", func(r *rig) time.Duration { r.await(0); r.Limit(1); return 0 }},
		{"sooner than the limit", func(r *rig) time.Duration { limit(r, late); return r.await(soon) }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachWait(t, func(t *testing.T, r *rig, wait func() error) {
				by := tc.begin(r)
				r.wantErr(t, within(t, wait), netio.ErrTimeout)
				if now := r.Now(); now < by {
					t.Errorf("it ended at %v, before %v", now, by)
				}
				r.Limit(0) // and the connection is as good as before
				r.await(0)
				r.sends("hello")
				if err := within(t, wait); err != nil {
					t.Fatal(err)
				}
				r.expect(t, "hello")
			})
		})
	}
}

func limit(r *rig, d time.Duration) (by time.Duration) {
	by = r.Now() + d
	r.Limit(by)
	return by
}

// TestAwaitLetsAWaitGoOn has the peer answer when a deadline that was moved, or
// the first rechecks, are over.
func TestAwaitLetsAWaitGoOn(t *testing.T) {
	cases := []struct {
		name  string
		begin func(r *rig)
		until time.Duration
	}{
		{"moved later", func(r *rig) { r.await(soon); r.await(late) }, 2 * soon},
		{"lifted", func(r *rig) { r.await(soon); r.await(0) }, 2 * soon},
		{"a limit that was lifted", func(r *rig) { r.await(0); limit(r, soon); r.Limit(0) }, 2 * soon},
		{"a limit that was moved later", func(r *rig) { r.await(0); limit(r, soon); limit(r, late) }, 2 * soon},
		{"no deadline, rechecked", func(r *rig) { r.await(0) }, 3 * netio.Recheck},
		{"a deadline, rechecked", func(r *rig) { r.await(late) }, 3 * netio.Recheck},
		{"watched, and nobody gone", func(r *rig) { r.await(0); r.Watch(func() bool { return false }) }, 4 * netio.Recheck},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			eachWait(t, func(t *testing.T, r *rig, wait func() error) {
				tc.begin(r)
				r.start(func() {
					<-time.After(tc.until)
					io.WriteString(r.far, "hello")
				})
				if err := within(t, wait); err != nil {
					t.Fatalf("it ended with %v", err)
				}
				r.expect(t, "hello")
			})
		})
	}
}

// TestLimitFromAside ends a wait that has no deadline, and those that follow,
// from another goroutine, as timers of earlier waits fire.
func TestLimitFromAside(t *testing.T) {
	eachWait(t, func(t *testing.T, r *rig, wait func() error) {
		for i := range 3000 {
			r.await([...]time.Duration{0, late}[i%2])
			var aside sync.WaitGroup
			aside.Go(func() { r.near.SetReadDeadline(time.Unix(1, 0)) })
			aside.Go(func() { r.Limit(1) })
			r.wantErr(t, within(t, wait), netio.ErrTimeout)
			r.await(0)
			r.wantErr(t, within(t, wait), netio.ErrTimeout)
			aside.Wait()
			r.Limit(0)
		}
	})
}

// TestDeadlinesWhileTheyMove moves deadlines and limits about at random under a
// reader of many short messages: it must get all of them.
func TestDeadlinesWhileTheyMove(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		const messages = 3000
		var over atomic.Bool
		defer over.Store(true)
		r.start(func() {
			for i := 0; !over.Load(); i++ {
				r.Limit([...]time.Duration{0, 1, r.Now() + time.Millisecond, late}[i%4])
			}
		})
		r.start(func() {
			for range messages {
				io.WriteString(r.far, "x")
			}
		})
		got := within(t, func() (n int) {
			for n < messages {
				r.await([...]time.Duration{0, -1, time.Microsecond, time.Millisecond, late}[n%5])
				if err := r.Fill(); err != nil && !errors.Is(err, netio.ErrTimeout) {
					t.Error(err)
					return n
				}
				n += len(r.Buffered())
				r.Consume(len(r.Buffered()))
			}
			return n
		})
		if got != messages {
			t.Errorf("%d messages of %d", got, messages)
		}
	})
}

// TestWatch ends waits because nobody wants the answer any more.
func TestWatch(t *testing.T) {
	eachWait(t, func(t *testing.T, r *rig, wait func() error) {
		looks := 0
		r.Watch(func() bool { looks++; return looks == 2 })
		r.await(0)
		r.wantErr(t, within(t, wait), netio.ErrGone)
		if looks != 2 {
			t.Errorf("asked %d times", looks)
		}
		r.await(soon) // the deadline is heeded all the same
		r.wantErr(t, within(t, wait), netio.ErrTimeout)
		r.Watch(nil)
		r.await(3 * netio.Recheck)
		r.wantErr(t, within(t, wait), netio.ErrTimeout)
		if looks != 2 {
			t.Errorf("asked %d times, the last of them for nothing", looks)
		}
	})
}

// TestWatchedAndLimited heeds a deadline that comes while it is watched.
func TestWatchedAndLimited(t *testing.T) {
	eachWait(t, func(t *testing.T, r *rig, wait func() error) {
		r.await(late)
		r.Watch(func() bool { limit(r, soon); return false })
		r.wantErr(t, within(t, wait), netio.ErrTimeout)
	})
}

// woken counts how often a reader is woken.
type woken struct {
	net.Conn
	times atomic.Int32
}

func (w *woken) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		w.times.Add(1)
	}
	return w.Conn.SetReadDeadline(t)
}

// TestIdleCostsOneRecheck wakes an idle connection once, and then no more.
func TestIdleCostsOneRecheck(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	w := &woken{Conn: a}
	c := netio.New(w, netio.NewShared())
	defer c.Done()
	c.Await(c.Now(), c.Now()+6*netio.Recheck)
	if err := within(t, c.Fill); !errors.Is(err, netio.ErrTimeout) {
		t.Fatal(err)
	}
	if n := w.times.Load(); n != 2 {
		t.Errorf("woken %d times, want 2: to look again, and at the deadline", n)
	}
}
