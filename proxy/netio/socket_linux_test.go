package netio_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/proxy/netio"
)

// What Conn does by its own system calls.

func raw(tr transport) bool { return tr.raw }

// lateFor has f, by which the peer does something, seen by the runtime's poller
// before the test goes on: what an edge tells is then lost to the next wait. It
// returns when the socket shows the events.
func (r *rig) lateFor(t *testing.T, events int16, f func()) {
	t.Helper()
	sc, err := r.near.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	look := func(fd uintptr) bool {
		if f != nil {
			f()
			f = nil
			return false
		}
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, _ := unix.Poll(p, 0)
		return n == 1 && p[0].Revents&events == events
	}
	err = within(t, func() error {
		for {
			// The timer of a wait that is over, as that of a handshake, may wake this one.
			if err := sc.Read(look); !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			r.near.SetReadDeadline(time.Time{})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) farEnds() { r.far.(interface{ CloseWrite() error }).CloseWrite() }

// TestLostEdge waits for an end that came before the wait began, alone or with
// the last bytes: the poller has told of it, and does not do so again.
func TestLostEdge(t *testing.T) {
	each(t, raw, func(t *testing.T, tr transport) {
		t.Run("bytes and the end, Turns", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLRDHUP|unix.POLLIN, func() { io.WriteString(r.far, "hello\n"); r.farEnds() })
			r.await(0)
			served := 0
			r.wantErr(t, within(t, func() error { return r.Turns(r.lines(&served)) }), io.EOF)
			if served != 1 || r.reads(t, 6) != "hello\n" {
				t.Errorf("served %d lines", served)
			}
			r.Close()
			if rest, err := io.ReadAll(r.far); len(rest) > 0 || err != nil {
				t.Errorf("the peer read %q more, %v", rest, err)
			}
		})
		t.Run("bytes and the end within Turns", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tr)
			r.await(0)
			r.start(func() {
				for range 20 {
					io.WriteString(r.far, "hello\n")
					io.ReadFull(r.far, make([]byte, 6))
				}
				io.WriteString(r.far, "hello\n")
				r.farEnds()
			})
			served := 0
			r.wantErr(t, within(t, func() error { return r.Turns(r.lines(&served)) }), io.EOF)
			if served != 21 {
				t.Errorf("served %d lines", served)
			}
		})
		t.Run("the end, Exchange", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLRDHUP, r.farEnds)
			r.await(0)
			sent, err := r.exchange(t, "request", "")
			if sent == 0 || r.reads(t, 7) != "request" {
				t.Error("the request was not sent")
			}
			r.wantErr(t, err, io.EOF)
		})
		t.Run("bytes, Exchange", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLIN, func() { io.WriteString(r.far, "unasked") })
			r.await(0)
			if _, err := r.exchange(t, "request", ""); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "unasked")
		})
		t.Run("the end, Fill", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLRDHUP, r.farEnds)
			r.wantErr(t, within(t, r.Fill), io.EOF) // which asks first, so needs no timer
		})
	})
}

// TestTurnsOfFullBuffer begins when exactly as much has arrived as the buffer
// holds, so that one receive takes it all, and maybe the end waits behind it.
func TestTurnsOfFullBuffer(t *testing.T) {
	const size = netio.BufferSize
	for _, ends := range []bool{false, true} {
		each(t, raw, func(t *testing.T, tr transport) {
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLIN, func() { io.WriteString(r.far, pattern(size)) })
			if ends {
				r.lateFor(t, unix.POLLRDHUP, r.farEnds)
			}
			got := 0
			err := within(t, func() error { // without a timer
				return r.Turns(func() bool {
					got += len(r.Buffered())
					r.Consume(len(r.Buffered()))
					return got < size || ends
				})
			})
			if ends != errors.Is(err, io.EOF) || !ends && err != nil {
				t.Errorf("it ended with %v", err)
			}
			if got != size {
				t.Errorf("%d bytes of %d", got, size)
			}
		})
	}
}

func TestStates(t *testing.T) {
	const open, ended, gone = netio.PeerOpen, netio.PeerEnded, netio.PeerReset
	cases := []struct {
		name   string
		become func(t *testing.T, r *rig)
		peer   netio.PeerState
		quiet  bool
	}{
		{"idle", func(*testing.T, *rig) {}, open, true},
		{"after an exchange", func(t *testing.T, r *rig) {
			r.answers(t, "request", "fine")
			r.await(0)
			r.exchange(t, "request", "")
			r.aside.Wait()
			r.expect(t, "fine")
			r.Consume(len("fine"))
		}, open, true},
		{"an answer that is not taken", func(t *testing.T, r *rig) {
			r.answers(t, "request", "fine")
			r.await(0)
			r.exchange(t, "request", "")
			r.aside.Wait()
		}, open, false},
		{"bytes came", func(t *testing.T, r *rig) {
			r.lateFor(t, unix.POLLIN, func() { io.WriteString(r.far, "some") })
		}, open, false},
		{"the end came", func(t *testing.T, r *rig) { r.lateFor(t, unix.POLLRDHUP, r.farEnds) }, ended, false},
		{"bytes came, and the end behind them", func(t *testing.T, r *rig) {
			r.lateFor(t, unix.POLLRDHUP|unix.POLLIN, func() { io.WriteString(r.far, "some"); r.farEnds() })
		}, open, false},
		{"reset", func(t *testing.T, r *rig) { r.lateFor(t, unix.POLLHUP, func() { reset(t, r) }) }, gone, false},
		{"closed here", func(_ *testing.T, r *rig) { r.Close() }, gone, false},
	}
	each(t, raw, func(t *testing.T, tr transport) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				r := newRig(t, tr)
				tc.become(t, r)
				for range 3 { // to look changes nothing
					if peer := r.Peer(); peer.State != tc.peer {
						t.Errorf("the peer is %+v", peer)
					}
					r.QuickAck()
				}
				for range 3 { // nor to ask again
					if quiet := r.Quiet(); quiet != tc.quiet {
						t.Errorf("quiet %t", quiet)
					}
				}
			})
		}
	})
}

// TestResetBehindTheEnd resets a connection whose end has come, or on which bytes wait:
// neither is told by a read.
func TestResetBehindTheEnd(t *testing.T) {
	each(t, func(tr transport) bool { return raw(tr) && tr.tls == nil && tr.name != "unix" }, func(t *testing.T, tr transport) {
		for name, before := range map[string]func(r *rig){
			"bytes": func(r *rig) { io.WriteString(r.far, "some") },
			"end":   (*rig).farEnds,
		} {
			r := newRig(t, tr)
			r.lateFor(t, unix.POLLIN, func() { before(r) })
			r.lateFor(t, unix.POLLHUP, func() { reset(t, r) })
			if peer := r.Peer(); peer.State != netio.PeerReset {
				t.Errorf("behind the %s: %+v", name, peer)
			}
		}
	})
}

// TestWhenThePeerEnded dates an end, and the bytes before it.
func TestWhenThePeerEnded(t *testing.T) {
	const apart = 200 * time.Millisecond
	each(t, func(tr transport) bool { return raw(tr) && !strings.Contains(tr.name, "unix") }, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.lateFor(t, unix.POLLIN, func() { io.WriteString(r.far, "some") })
		r.expect(t, "some")
		r.Consume(len("some"))
		time.Sleep(apart) // what is dated
		before := time.Now()
		r.lateFor(t, unix.POLLRDHUP, r.farEnds)
		time.Sleep(apart)
		peer, since := r.Peer(), time.Since(before)
		if peer.State != netio.PeerEnded || peer.Ended < apart/2 || peer.Ended > since+tick {
			t.Errorf("%+v, %s after the end", peer, since)
		}
		if tr.tls == nil && peer.Heard-peer.Ended < apart/2 {
			t.Errorf("%+v: the bytes came %s before the end", peer, apart)
		}
	})
}

// tick is how far off the kernel's clock may be.
const tick = 20 * time.Millisecond

// TestAnnouncedEnd ends a connection over TLS and leaves the one below open.
func TestAnnouncedEnd(t *testing.T) {
	each(t, func(tr transport) bool { return raw(tr) && encrypted(tr) }, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.lateFor(t, unix.POLLIN, func() { r.far.(*peer).Conn.CloseWrite() })
		if peer := r.Peer(); peer.State != netio.PeerAnnounced && !strings.Contains(tr.name, "unix") || peer.Ended != peer.Heard {
			t.Errorf("the peer is %+v", peer)
		}
	})
}

// TestLookingConsumesNothing asks for the state while another goroutine reads.
func TestLookingConsumesNothing(t *testing.T) {
	each(t, raw, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		text := pattern(1 << 20)
		r.sends(text)
		read := make(chan struct{})
		r.start(func() {
			defer close(read)
			r.expect(t, text)
		})
		for looking := true; looking; {
			select {
			case <-read:
				looking = false
			default:
				if r.Peer().State != netio.PeerOpen {
					t.Fatal("gone")
				}
			}
		}
	})
}

func TestStatesByMethods(t *testing.T) {
	each(t, func(tr transport) bool { return !tr.raw }, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.far.Close()
		if r.Peer() != (netio.Peer{}) || !r.Quiet() {
			t.Error("it claims to know what it can't")
		}
		r.QuickAck()
	})
}

// TestAbortedPeerIsTold resets within a response: bytes that arrived before are
// still read, and then the reset.
func TestAbortedPeerIsTold(t *testing.T) {
	r := newRig(t, transports[0])
	r.lateFor(t, unix.POLLIN, func() { io.WriteString(r.far, "some") })
	r.expect(t, "some")
	r.lateFor(t, unix.POLLHUP, func() {
		r.far.(*net.TCPConn).SetLinger(0)
		r.far.Close()
	})
	if err := within(t, r.Fill); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ended with %v", err)
	}
}
