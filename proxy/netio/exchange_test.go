package netio_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

func TestExchange(t *testing.T) {
	cases := []struct{ name, head, body string }{
		{"a head", "GET / HTTP/1.1\r\n\r\n", ""},
		{"a head and a body", "POST / HTTP/1.1\r\n\r\n", "content"},
		{"a body alone", "", "content"},
		{"a long head", pattern(100_000), "content"},
		{"a long body", "POST / HTTP/1.1\r\n\r\n", pattern(100_000)},
	}
	each(t, nil, func(t *testing.T, tr transport) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				r := newRig(t, tr)
				for range 20 {
					r.answers(t, tc.head+tc.body, "fine")
					r.await(0)
					sent, err := r.exchange(t, tc.head, tc.body)
					if err != nil || !sent {
						t.Fatalf("sent %t, %v", sent, err)
					}
					r.expect(t, "fine")
					r.Consume(len(r.Buffered()))
					r.Release()
					r.aside.Wait()
				}
			})
		}
	})
}

// answers has the peer read a request and answer it.
func (r *rig) answers(t *testing.T, request, answer string) {
	r.start(func() {
		got := make([]byte, len(request))
		if _, err := io.ReadFull(r.far, got); err != nil || string(got) != request {
			t.Errorf("the peer read %.80q, %v; want %.80q", got, err, request)
		}
		io.WriteString(r.far, answer)
	})
}

type outcome struct {
	sent bool
	err  error
}

func (r *rig) exchange(t *testing.T, head, body string) (sent bool, err error) {
	t.Helper()
	o := within(t, func() outcome {
		sent, err := r.Exchange([]byte(head), []byte(body))
		return outcome{sent, err}
	})
	return o.sent, o.err
}

// TestExchangeMoreThanTheSocketTakes sends to a peer that reads in small
// pieces, and answers with the checksum.
func TestExchangeMoreThanTheSocketTakes(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		head, body := pattern(300_000), pattern(8<<20)
		r.WriteTimeout = patience
		r.start(func() {
			sum, piece := crc32.NewIEEE(), make([]byte, 3001)
			if _, err := io.CopyBuffer(sum, onlyReader{io.LimitReader(r.far, int64(len(head)+len(body)))}, piece); err != nil {
				t.Error(err)
			}
			r.far.Write(sum.Sum(nil))
		})
		r.await(0)
		if sent, err := r.exchange(t, head, body); err != nil || !sent {
			t.Fatalf("sent %t, %v", sent, err)
		}
		sum := crc32.NewIEEE()
		io.WriteString(sum, head+body)
		r.expect(t, string(sum.Sum(nil)))
	})
}

// onlyReader keeps io.CopyBuffer from finding a larger buffer.
type onlyReader struct{ io.Reader }

func TestExchangeWithAPeerThatHasClosed(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.far.Close()
		r.await(0)
		_, err := r.exchange(t, "request", "")
		if err == nil || errors.Is(err, netio.ErrTimeout) || errors.Is(err, netio.ErrGone) {
			t.Errorf("it ended with %v", err)
		}
		r.wantErr(t, err, err)
	})
}

// TestExchangeWithALateTimer has the timer of an earlier wait fire as Exchange
// begins, and again as it waits: the request is sent once, and answered.
func TestExchangeWithALateTimer(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		for range 20 {
			r := newRig(t, tr)
			r.await(0)
			r.near.SetReadDeadline(time.Unix(1, 0))
			r.start(func() {
				got := make([]byte, len("request"))
				io.ReadFull(r.far, got)
				r.near.SetReadDeadline(time.Unix(1, 0))
				r.far.Write(got)
			})
			sent, err := r.exchange(t, "req", "uest")
			if err != nil || !sent {
				t.Fatalf("sent %t, %v", sent, err)
			}
			r.expect(t, "request")
			r.aside.Wait()
			r.Close()
			if rest, err := io.ReadAll(r.far); len(rest) > 0 {
				t.Fatalf("the peer read %q more, %v", rest, err)
			}
		}
	})
}

// TestExchangePastItsDeadline sends nothing more when the time is up before it
// begins, and says so.
func TestExchangePastItsDeadline(t *testing.T) {
	r := newRig(t, transports[0])
	r.await(-1)
	<-time.After(time.Millisecond)
	r.near.SetReadDeadline(time.Unix(1, 0)) // which the timer does, sooner or later
	sent, err := r.exchange(t, "request", "")
	if sent {
		t.Error("sent")
	}
	r.wantErr(t, err, netio.ErrTimeout)
}

func TestExchangeStuck(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.WriteTimeout = 20 * time.Millisecond
		r.await(0)
		sent, err := r.exchange(t, "head", strings.Repeat("x", 64<<20))
		if !sent {
			t.Error("the peer got a part, and it is not told")
		}
		r.wantErr(t, err, netio.ErrTimeout)
	})
}

// TestExchangeBehindAFullSocket begins when the socket takes nothing, and has
// to fail when it has taken a part: it must tell so, or the request would be
// sent again.
func TestExchangeBehindAFullSocket(t *testing.T) {
	r := newRig(t, transports[1]) // whose buffer stays full; TCP's window may grow
	r.WriteTimeout = 10 * time.Millisecond
	if err := within(t, func() error { return r.Write(make([]byte, 64<<20)) }); !errors.Is(err, netio.ErrTimeout) {
		t.Fatal(err)
	}
	r.WriteTimeout = patience
	r.start(func() {
		<-time.After(soon) // so that it finds the socket full
		for b := make([]byte, 64<<10); ; {
			n, err := r.far.Read(b)
			if err != nil || bytes.IndexByte(b[:n], 'x') >= 0 {
				break
			}
		}
		r.far.Close()
	})
	r.await(0)
	sent, err := r.exchange(t, strings.Repeat("x", 64<<20), "")
	if err == nil || !sent {
		t.Errorf("sent %t, %v; want an error for what the peer got a part of", sent, err)
	}
}
