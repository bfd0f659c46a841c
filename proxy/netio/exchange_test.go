package netio_test

import (
	"errors"
	"hash/crc32"
	"io"
	"net"
	"runtime"
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
					r.request(t, tc.head, tc.body)
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
	sent int
	err  error
}

func (r *rig) exchange(t *testing.T, head, body string) (sent int, err error) {
	t.Helper()
	o := within(t, func() outcome {
		sent, err := r.Exchange([]byte(head), []byte(body))
		return outcome{sent, err}
	})
	return o.sent, o.err
}

// request sends all of it by Exchange and, where the socket does not take all at
// once, by Write, and waits for the first bytes of the answer.
func (r *rig) request(t *testing.T, head, body string) {
	t.Helper()
	all := head + body
	sent, err := r.exchange(t, head, body)
	if err == nil && sent < len(all) {
		if err = within(t, func() error { return r.Write([]byte(all)[sent:]) }); err == nil {
			err = within(t, r.Fill)
		}
	}
	if err != nil {
		t.Fatalf("%d of %d bytes sent: %v", sent, len(all), err)
	}
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
		r.request(t, head, body)
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
			if err != nil || sent != len("request") {
				t.Fatalf("sent %d, %v", sent, err)
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
	if sent > 0 {
		t.Error("sent")
	}
	r.wantErr(t, err, netio.ErrTimeout)
}

// TestExchangeWithAPeerThatDoesNotRead returns with what the socket took, as does
// Offer; over TLS it gives up in time, and tells that a part went out.
func TestExchangeWithAPeerThatDoesNotRead(t *testing.T) {
	each(t, nil, func(t *testing.T, tr transport) {
		for _, offer := range []bool{false, true} {
			r := newRig(t, tr)
			r.WriteTimeout = 20 * time.Millisecond
			r.await(0)
			head, body := []byte("head"), make([]byte, 64<<20)
			o := within(t, func() outcome {
				send := r.Exchange
				if offer {
					send = r.Offer
				}
				sent, err := send(head, body)
				return outcome{sent, err}
			})
			if o.sent == 0 && tr.socket || o.sent >= len(head)+len(body) && o.err == nil {
				t.Errorf("sent %d of %d, %v", o.sent, len(head)+len(body), o.err)
			}
			if o.err != nil {
				r.wantErr(t, o.err, netio.ErrTimeout)
			}
			if tr.raw && tr.tls == nil && runtime.GOOS == "linux" && o.err != nil {
				t.Errorf("it waited: %v", o.err)
			}
		}
	})
}

// TestOfferToAPeerThatHasReset tells that nothing was sent.
func TestOfferToAPeerThatHasReset(t *testing.T) {
	r := newRig(t, transports[0])
	r.far.(*net.TCPConn).SetLinger(0)
	r.far.Close()
	r.await(0)
	if err := within(t, r.Fill); err == nil {
		t.Fatal("no reset")
	}
	if sent, err := r.Offer([]byte("request"), nil); sent != 0 || err == nil {
		t.Errorf("sent %d, %v", sent, err)
	}
}
