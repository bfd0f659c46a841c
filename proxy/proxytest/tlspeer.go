package proxytest

import (
	"bufio"
	"crypto/tls"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TLSPeer is a peer whose connection is encrypted. What a peer does with the
// socket itself it does with the one below.
type TLSPeer struct {
	*Peer
	TLS *tls.Conn
}

// DialTLS connects, and fails the test unless the handshake succeeds.
func DialTLS(t testing.TB, address string, c *tls.Config) *TLSPeer {
	t.Helper()
	p, err := TryDialTLS(t, address, c)
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return p
}

// TryDialTLS connects, and returns the error of the handshake.
func TryDialTLS(t testing.TB, address string, c *tls.Config) (*TLSPeer, error) {
	t.Helper()
	p := &TLSPeer{Peer: Dial(t, address)}
	p.SetDeadline(Deadline())
	p.TLS = tls.Client(p.TCPConn, c)
	p.Reader = bufio.NewReader(p.TLS)
	return p, p.TLS.Handshake()
}

// Send writes all of it.
func (p *TLSPeer) Send(parts ...string) {
	p.T.Helper()
	p.SetWriteDeadline(Deadline())
	if _, err := p.TLS.Write([]byte(strings.Join(parts, ""))); err != nil {
		p.Fail("sending %.100q: %v", parts, err)
	}
}

// AskTLS sends a request on an encrypted connection of its own and reads the
// response, with its content.
func AskTLS(t testing.TB, address string, c *tls.Config, request string) (*http.Response, string) {
	t.Helper()
	p := DialTLS(t, address, c)
	defer p.Close()
	p.Send(request)
	return p.ReadResponse(methodOf([]string{request}))
}

// HandshakeError is how a handshake fails, if it does: with TLS 1.3 the server's verdict
// comes when the handshake is over for the client.
func HandshakeError(t testing.TB, address string, c *tls.Config) error {
	t.Helper()
	p, err := TryDialTLS(t, address, c)
	if err == nil {
		_, err = p.TLS.Read(make([]byte, 1))
	}
	p.Close()
	return err
}

// FailAndExit is for the Fail of a peer in a goroutine that is not the test's own: it
// fails the test and ends the goroutine.
func FailAndExit(t testing.TB) func(string, ...any) {
	return func(format string, args ...any) {
		t.Errorf(format, args...)
		runtime.Goexit()
	}
}
