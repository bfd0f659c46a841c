package netio_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/proxy/netio"
)

func TestFill(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.sends("hello")
		r.expect(t, "hello")
		r.Consume(2)
		r.sends("world")
		r.expect(t, "lloworld")
		if !r.Borrows() {
			t.Error("bytes are buffered without a buffer")
		}
		r.Release()
		r.expect(t, "lloworld") // which Release must not lose
		r.Consume(8)
		r.Release()
		if r.Borrows() || r.Size() > 0 {
			t.Error("Release keeps the empty buffer")
		}
		r.aside.Wait()
		r.far.Close()
		r.wantErr(t, within(t, r.Fill), io.EOF)
		r.wantErr(t, within(t, r.Fill), io.EOF)
	})
}

func TestFillGrows(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		const more = 1000
		r := newRig(t, tr)
		text := pattern(5*netio.BufferSize + more)
		r.sends(text)
		r.receive(t, netio.BufferSize)
		r.Consume(more)
		r.receive(t, netio.BufferSize)
		if r.Size() != netio.BufferSize {
			t.Errorf("the buffer holds %d bytes, though to move what was in it made room", r.Size())
		}
		r.expect(t, text[more:])
		if r.Size() < 5*netio.BufferSize || r.Borrows() {
			t.Errorf("a buffer of %d bytes, borrowed: %t", r.Size(), r.Borrows())
		}
		r.Consume(len(text) - more)
		r.Release()
		r.sends("small again")
		r.expect(t, "small again")
		if r.Size() != netio.BufferSize {
			t.Errorf("the buffer holds %d bytes after Release", r.Size())
		}
	})
}

func TestReset(t *testing.T) {
	each(t, sockets, func(t *testing.T, tr transport) {
		for _, w := range waits {
			t.Run(w.name, func(t *testing.T) {
				r := newRig(t, tr)
				reset(t, r)
				err := within(t, func() error { return w.wait(r.Conn) })
				if !errors.Is(err, syscall.ECONNRESET) && !(w.name == "Exchange" && errors.Is(err, syscall.EPIPE)) {
					t.Errorf("it ended with %v, want a reset", err)
				}
				if r.Size() > 0 {
					t.Errorf("a buffer of %d bytes is kept for nothing", r.Size())
				}
			})
		}
	})
}

// reset has the peer close with a reset: at once where that can be asked for,
// else because it has not read everything.
func reset(t *testing.T, r *rig) {
	t.Helper()
	if err := r.Write([]byte("never read")); err != nil {
		t.Fatal(err)
	}
	if c, ok := below(r.far).(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	below(r.far).Close()
}

// TestTurns serves lines, each with its echo, of which the last is "quit".
func TestTurns(t *testing.T) {
	cases := []struct {
		name   string
		pieces []string // the peer waits for the echo of each before the next
		rest   string   // what is left when Turns ends
		err    error
	}{
		{"one by one", append(repeat("hello\n", 50), "quit\n"), "", nil},
		{"pipelined", []string{strings.Repeat("hello\n", 1000) + "quit\n"}, "", nil},
		{"in pieces", []string{"he", "ll", "o\nwor", "ld\nqu", "it\n"}, "", nil},
		{"more behind the end", []string{"hello\nquit\nmore"}, "more", nil},
		{"an end without quit", repeat("hello\n", 3), "", io.EOF},
		{"an end within a line", []string{"hello\nhe"}, "he", io.EOF},
		{"a line that fills the buffer exactly", []string{fill(netio.BufferSize), "hello\n", "quit\n"}, "", nil},
		{"two lines that do", []string{fill(netio.BufferSize) + fill(netio.BufferSize), "hello\n", "quit\n"}, "", nil},
		{"a line that fills two buffers", []string{fill(2 * netio.BufferSize), "hello\n", "quit\n"}, "", nil},
		{"a full buffer, then the end", []string{fill(netio.BufferSize)}, "", io.EOF},
		{"an end at once", nil, "", io.EOF},
	}
	each(t, nil, func(t *testing.T, tr transport) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				r := newRig(t, tr)
				r.start(func() { r.converse(tc.pieces) })
				var served int
				r.await(0)
				err := within(t, func() error { return r.Turns(r.lines(&served)) })
				if !errors.Is(err, tc.err) {
					t.Fatalf("it ended with %v, want %v", err, tc.err)
				}
				if got := string(r.Buffered()); got != tc.rest {
					t.Errorf("left are %.80q, want %.80q", got, tc.rest)
				}
				if want := strings.Count(strings.Join(tc.pieces, ""), "\n"); served != want {
					t.Errorf("served %d lines of %d", served, want)
				}
				if r.Size() > 0 && err != nil && tc.rest == "" {
					t.Errorf("a buffer of %d bytes is kept for nothing", r.Size())
				}
			})
		}
	})
}

// TestTurnsBeginWithWhatIsHere: bytes that were received before are handled first.
func TestTurnsBeginWithWhatIsHere(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.start(func() { r.converse([]string{"hello\n", "quit\n"}) })
		r.await(0)
		if err := within(t, r.Fill); err != nil {
			t.Fatal(err)
		}
		var served int
		if err := within(t, func() error { return r.Turns(r.lines(&served)) }); err != nil || served != 2 {
			t.Errorf("served %d lines, %v", served, err)
		}
	})
}

// converse sends each piece, waits for the echo of its lines, and closes.
func (r *rig) converse(pieces []string) {
	defer r.far.Close()
	got, want := make([]byte, 4*netio.BufferSize), 0
	for _, p := range pieces {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.WriteString(r.far, p)
		}()
		want += len(p)
		if i := strings.LastIndexByte(p, '\n'); i >= 0 {
			n := want - (len(p) - i - 1)
			want -= n
			for n > 0 {
				some, err := r.far.Read(got[:min(n, len(got))])
				if n -= some; err != nil {
					break
				}
			}
		}
		<-sent
	}
}

// lines echoes each line that is whole, until it was "quit".
func (r *rig) lines(served *int) func() bool {
	return func() bool {
		for {
			b := r.Buffered()
			i := strings.IndexByte(string(b), '\n')
			if i < 0 {
				return true
			}
			line := string(b[:i+1])
			r.Consume(i + 1)
			*served++
			if r.Write([]byte(line)) != nil || line == "quit\n" {
				return false
			}
			r.await(0)
		}
	}
}

func repeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

// fill is a line of n bytes.
func fill(n int) string { return strings.Repeat("x", n-1) + "\n" }

// TestTurnsThenFill goes on by Fill where Turns ended, and back.
func TestTurnsThenFill(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		for range 3 {
			r.sends("head ")
			if err := within(t, func() error { return r.Turns(func() bool { return false }) }); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "head ")
			r.sends("body")
			r.expect(t, "head body")
			r.Consume(len("head body"))
		}
	})
}

// TestHalfClose ends each side by itself: what is sent the other way arrives.
func TestHalfClose(t *testing.T) {
	each(t, sockets, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		if err := r.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(r.far); len(rest) > 0 || err != nil {
			t.Fatalf("the peer read %q, %v", rest, err)
		}
		r.sends("still here")
		r.expect(t, "still here")
		r.Consume(len(r.Buffered()))

		r = newRig(t, tr)
		r.far.(interface{ CloseWrite() error }).CloseWrite()
		r.wantErr(t, within(t, r.Fill), io.EOF)
		if err := r.WriteTwo([]byte("still "), []byte("here")); err != nil {
			t.Fatal(err)
		}
		if got := r.reads(t, 10); got != "still here" {
			t.Errorf("the peer read %q", got)
		}
	})
}

// TestCloseWriteWithoutHalves closes a connection that has no sides.
func TestCloseWriteWithoutHalves(t *testing.T) {
	r := newRig(t, transport{pair: pipe})
	if err := r.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer's read ended with %v", err)
	}
}
