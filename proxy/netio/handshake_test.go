package netio_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// eachSide runs the test over sockets and pipes, with Conn as the server and as
// the client. Nothing has been sent yet.
func eachSide(t *testing.T, test func(t *testing.T, r *rig, server bool)) {
	each(t, plain, func(t *testing.T, tr transport) {
		for _, server := range []bool{true, false} {
			t.Run(map[bool]string{true: "server", false: "client"}[server], func(t *testing.T) {
				test(t, newRig(t, tr), server)
			})
		}
	})
}

// shake runs the handshake of Conn alone.
func (r *rig) shake(t *testing.T, server bool, by time.Duration) error {
	t.Helper()
	mine, _ := encryption{tls.VersionTLS13, server}.configs()
	return within(t, func() error {
		_, err := r.StartTLS(mine, server, by)
		return err
	})
}

func TestStartTLS(t *testing.T) {
	eachSide(t, func(t *testing.T, r *rig, server bool) {
		mine, its := encryption{tls.VersionTLS13, server}.configs()
		for _, c := range []*tls.Config{mine, its} {
			c.NextProtos = []string{"http/1.1"}
			c.SessionTicketsDisabled = true // they would be stuck in a pipe
		}
		p := newPeer(r.far, its, !server)
		r.start(func() {
			io.Copy(p, onlyReader{p})
			p.Close()
		})
		if server { // some of the handshake is here already
			r.receive(t, 1)
		}
		r.Watch(func() bool { return false })
		state, err := r.StartTLS(mine, server, r.Now()+patience)
		if err != nil {
			t.Fatal(err)
		}
		if r.Borrows() {
			t.Error("it keeps a buffer")
		}
		if state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("agreed on %q", state.NegotiatedProtocol)
		}
		if r.NetConn() != r.near {
			t.Error("NetConn is not what it was made of")
		}
		for range 3 {
			r.await(0)
			if err := r.WriteTwo([]byte("he"), []byte("llo")); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "hello")
			r.Consume(5)
		}
	})
}

// TestHandshakeEnds lets handshakes fail for want of an answer.
func TestHandshakeEnds(t *testing.T) {
	cases := []struct {
		name string
		do   func(r *rig) (by time.Duration)
		err  error
	}{
		{"in time", func(r *rig) time.Duration { return r.Now() + soon }, netio.ErrTimeout},
		{"past its time", func(r *rig) time.Duration { return r.Now() - soon }, netio.ErrTimeout},
		{"after a recheck", func(r *rig) time.Duration { return r.Now() + 2*netio.Recheck }, netio.ErrTimeout},
		{"by a limit", func(r *rig) time.Duration {
			r.start(func() { limit(r, soon) })
			return r.Now() + late
		}, netio.ErrTimeout},
		{"as nobody waits", func(r *rig) time.Duration {
			r.Watch(func() bool { return true })
			return 0
		}, netio.ErrGone},
		{"by a close", func(r *rig) time.Duration {
			r.start(func() { r.Close() })
			return 0
		}, nil},
		{"by the peer's end", func(r *rig) time.Duration {
			r.start(func() { r.far.Close() })
			return 0
		}, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			eachSide(t, func(t *testing.T, r *rig, server bool) {
				r.start(func() { // whose end is not the peer's
					for b := make([]byte, 1024); ; {
						if _, err := r.far.Read(b); err != nil {
							return
						}
					}
				})
				err := r.shake(t, server, tc.do(r))
				if err == nil || tc.err != nil && !errors.Is(err, tc.err) || tc.err == nil && errors.Is(err, netio.ErrTimeout) {
					t.Errorf("it ended with %v, want %v", err, tc.err)
				}
				r.Done()
			})
		})
	}
}

// TestHandshakeWithoutAReader begins a handshake to a peer that takes nothing.
func TestHandshakeWithoutAReader(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := netio.New(near, netio.NewShared())
	defer c.Done()
	mine, _ := encryption{tls.VersionTLS13, false}.configs()
	if _, err := c.StartTLS(mine, false, c.Now()+soon); !errors.Is(err, netio.ErrTimeout) {
		t.Errorf("it ended with %v", err)
	}
}

// TestHandshakeInPlainText has somebody talk HTTP to a TLS server: who can be
// told, in plain text.
func TestHandshakeInPlainText(t *testing.T) {
	each(t, func(tr transport) bool { return plain(tr) && tr.socket }, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.sends("GET / HTTP/1.1\r\n\r\n")
		err := r.shake(t, true, 0)
		var header tls.RecordHeaderError
		if !errors.As(err, &header) || string(header.RecordHeader[:]) != "GET /" {
			t.Errorf("it ended with %v", err)
		}
		if err := r.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := r.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.far); !strings.HasPrefix(string(got), "HTTP/1.1 400") || err != nil {
			t.Errorf("the peer read %q, %v", got, err)
		}
	})
}

// TestHandshakeDistrusts refuses a certificate: each side knows why.
func TestHandshakeDistrusts(t *testing.T) {
	each(t, plain, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		mine, its := encryption{tls.VersionTLS13, false}.configs()
		mine.InsecureSkipVerify, mine.ServerName = false, "hop.test"
		its.SessionTicketsDisabled = true
		told := make(chan error, 1)
		r.start(func() {
			p := newPeer(r.far, its, true)
			err := p.Handshake()
			told <- err
		})
		_, err := r.StartTLS(mine, false, r.Now()+patience)
		var why *tls.CertificateVerificationError
		var unknown x509.UnknownAuthorityError
		if !errors.As(err, &why) || !errors.As(err, &unknown) {
			t.Errorf("it ended with %v", err)
		}
		var alert tls.AlertError
		if err := <-told; !errors.As(err, &alert) && !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("the server's ended with %v", err)
		}
	})
}
