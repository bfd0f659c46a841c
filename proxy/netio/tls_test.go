package netio_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

func encrypted(tr transport) bool { return tr.tls != nil }

// TestEnds tells an end that was announced from one that was not.
func TestEnds(t *testing.T) {
	cases := []struct {
		name string
		end  func(r *rig)
		err  error
	}{
		{"announced", func(r *rig) { r.far.Close() }, io.EOF},
		{"announced, and open below", func(r *rig) { r.far.(*peer).Conn.CloseWrite() }, io.EOF},
		{"not announced", func(r *rig) { below(r.far).Close() }, io.ErrUnexpectedEOF},
		{"within a record", func(r *rig) {
			below(r.far).Write([]byte{23, 3, 3, 0, 100, 1, 2, 3})
			below(r.far).Close()
		}, io.ErrUnexpectedEOF},
		{"within a record's header", func(r *rig) {
			below(r.far).Write([]byte{23, 3, 3})
			below(r.far).Close()
		}, io.ErrUnexpectedEOF},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			each(t, encrypted, func(t *testing.T, tr transport) {
				for _, wait := range []func(*netio.Conn) error{
					(*netio.Conn).Fill,
					func(c *netio.Conn) error {
						return c.Turns(func() bool { c.Consume(len(c.Buffered())); return true })
					},
				} {
					r := newRig(t, tr)
					io.WriteString(r.far, "hello")
					tc.end(r)
					r.await(0)
					r.expect(t, "hello")
					r.Consume(5)
					for range 2 { // it stays so
						r.wantErr(t, within(t, func() error { return wait(r.Conn) }), tc.err)
					}
				}
			})
		})
	}
}

// TestEndsBehindAFullSocket ends connections whose peer takes no byte: nothing
// waits for it.
func TestEndsBehindAFullSocket(t *testing.T) {
	each(t, encrypted, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.WriteTimeout = 10 * time.Millisecond
		err := within(t, func() error { return r.Write(make([]byte, 64<<20)) })
		r.wantErr(t, err, netio.ErrTimeout)
		r.WriteTimeout = 0
		r.wantErr(t, within(t, func() error { return r.Write([]byte("more")) }), netio.ErrTimeout)
		within(t, func() bool { r.Done(); return true })
	})
}

// TestDoneWhileAnotherWrites ends a connection under a write that is stuck.
func TestDoneWhileAnotherWrites(t *testing.T) {
	each(t, encrypted, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		wrote := make(chan error, 1)
		r.start(func() { wrote <- r.Write(make([]byte, 64<<20)) })
		r.reads(t, 1)
		within(t, func() bool { r.Done(); return true })
		if err := <-wrote; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the write ended with %v", err)
		}
	})
}

// recorder keeps what is read through it.
type recorder struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, b[:n]...)
	return n, err
}

// take returns how many records were read since it was last called.
func (r *recorder) take(t *testing.T) int {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	n, whole := netio.Records([][]byte{r.got})
	r.got = r.got[:0]
	if !whole {
		t.Error("a record is not whole")
	}
	return n
}

// TestRecords counts in how many records writes leave.
func TestRecords(t *testing.T) {
	const full = 16 << 10
	cases := []struct{ head, body, records int }{
		{100, 0, 1},
		{0, 100, 1},
		{100, 1000, 1},
		{full, 0, 1},
		{1000, full - 1000, 1},
		{8, full, 2},
		{full, 8, 2},
		{1000, 4 * full, 5},
		{3 * full, 1000, 4},
		{full + 1, full + 1, 4},
	}
	each(t, func(tr transport) bool { return plain(tr) && tr.socket }, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		recorded := &recorder{Conn: r.far}
		r.far = encryption{tls.VersionTLS13, true}.encrypt(t, r.Conn, recorded)
		io.WriteString(r.far, "?") // so the peer has read what belongs to the handshake
		r.await(0)
		r.expect(t, "?")
		r.Write([]byte("!"))
		r.reads(t, 1)
		recorded.take(t)
		for _, tc := range cases {
			text := pattern(tc.head + tc.body)
			r.start(func() { r.WriteTwo([]byte(text[:tc.head]), []byte(text[tc.head:])) })
			if got := r.reads(t, len(text)); got != text {
				t.Errorf("%d and %d bytes: what arrived is not what was sent", tc.head, tc.body)
			}
			r.aside.Wait()
			if n := recorded.take(t); n != tc.records {
				t.Errorf("%d and %d bytes left in %d records, want %d", tc.head, tc.body, n, tc.records)
			}
		}
	})
}

// gatherer keeps back what is written until it is told to send it, in pieces.
type gatherer struct {
	net.Conn
	on   bool
	kept bytes.Buffer
}

func (g *gatherer) Write(b []byte) (int, error) {
	if g.on {
		return g.kept.Write(b)
	}
	return g.Conn.Write(b)
}

func (g *gatherer) send(piece int) {
	for g.kept.Len() > 0 {
		g.Conn.Write(g.kept.Next(piece))
	}
}

// TestRecordsAndSegments serves lines each of which is a record, however they
// arrive: many at once, or in pieces. No timer helps.
func TestRecordsAndSegments(t *testing.T) {
	each(t, func(tr transport) bool { return plain(tr) && tr.socket }, func(t *testing.T, tr transport) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, piece := range []int{1 << 20, 4096, 1000, 33, 32, 7, 1} {
				r := newRig(t, tr)
				g := &gatherer{Conn: r.far}
				r.far = encryption{version, true}.encrypt(t, r.Conn, g)
				g.on = true
				lines, text := min(40*piece, 400), ""
				for range lines {
					io.WriteString(r.far, "hello\n")
					text += "hello\n"
				}
				io.WriteString(r.far, "quit\n")
				text += "quit\n"
				r.start(func() { g.send(piece) })
				echo := make(chan string, 1)
				r.start(func() {
					got := make([]byte, len(text))
					n, _ := io.ReadFull(r.far, got)
					echo <- string(got[:n])
				})
				var served int
				if err := within(t, func() error { return r.Turns(r.lines(&served)) }); err != nil {
					t.Fatal(err)
				}
				if got := within(t, func() string { return <-echo }); served != lines+1 || got != text {
					t.Errorf("in pieces of %d: served %d lines of %d", piece, served, lines+1)
				}
			}
		}
	})
}

// TestNoise has the peer send what is no record, or one that was tampered with.
func TestNoise(t *testing.T) {
	cases := []struct{ name, noise string }{
		{"plain text", "HTTP/1.1 200 OK\r\n\r\n"},
		{"a record of nobody", "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)},
		{"a record too long", "\x17\x03\x03\xff\xff"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			each(t, encrypted, func(t *testing.T, tr transport) {
				r := newRig(t, tr)
				io.WriteString(below(r.far), tc.noise)
				r.await(0)
				err := within(t, r.Fill)
				if err == nil || errors.Is(err, io.EOF) || errors.Is(err, netio.ErrTimeout) {
					t.Errorf("it ended with %v", err)
				}
				r.wantErr(t, within(t, r.Fill), err)
			})
		})
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte{0, 1, 20}, 3)
	f.Add([]byte{255, 0}, 1)
	f.Fuzz(func(t *testing.T, lengths []byte, cut int) {
		var stream []byte
		for i, n := range lengths {
			length := int(n) << (i % 7)
			stream = append(stream, 23, 3, 3, byte(length>>8), byte(length))
			stream = append(stream, make([]byte, length)...)
		}
		cut = max(1, cut)
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := min(cut, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if n, whole := netio.Records(pieces); n != len(lengths) || !whole {
			t.Errorf("%d records of %d, whole: %t", n, len(lengths), whole)
		}
		if len(stream) > 0 {
			if _, whole := netio.Records([][]byte{stream[:len(stream)-1]}); whole {
				t.Error("whole without its last byte")
			}
		}
	})
}
