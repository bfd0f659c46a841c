package listener

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// encrypt makes the TLS handshake. It reports false if that failed.
func (a *arrival) encrypt() bool {
	l := a.listener
	by := l.Shared.Now() + l.HandshakeTimeout
	if !a.awaitByte(l.HandshakeTimeout) { // a port scan is not worth a record
		return false
	}
	start := l.Shared.Now()
	a.trusted = l.TLS.Version()
	state, err := a.nio.StartTLS(l.TLS.Config(), true, by)
	if err != nil {
		a.advise(err)
		if a.nio.CloseWrite() == nil {
			discard(a.nio, time.Second)
		}
		if l.phase.Load() != draining {
			(*l.server.Load()).Lost(&a.info, hop.VersionUnknown, a.explain(err))
		}
		return false
	}
	a.info.Scheme = "https"
	a.info.TLS = tlsconf.Describe(&state, l.Shared.Now()-start)
	a.info.Certificate = leaf(state.PeerCertificates)
	if a.info.Certificate != nil {
		a.info.Intermediates = state.PeerCertificates[1:]
	}
	a.alpn = state.NegotiatedProtocol
	a.secured.Store(true)
	return true
}

func (a *arrival) explain(err error) *fault.Error {
	if a.going() {
		return a.why.Load()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.ClientTLSTimeout, fmt.Sprintf("the client did not end the TLS handshake within %s", a.listener.HandshakeTimeout))
	}
	return tlsconf.ExplainServer(err)
}

func leaf(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) == 0 {
		return nil
	}
	return chain[0]
}

// advise answers a client that speaks plain HTTP, since it would not understand a TLS
// alert.
func (a *arrival) advise(err error) {
	const advice = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
		"400 Bad Request\nThis port expects TLS: use https:// for it.\n"
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && isUpper(e.RecordHeader[:3]) {
		a.nio.SetWriteTimeout(time.Second)
		a.nio.Write([]byte(advice))
	}
}

// discard reads what the client has already sent. If it were left unread, the kernel would
// send a reset, and the client might never see the alert that says why.
func discard(nio *netio.Conn, patience time.Duration) {
	now := nio.Now()
	nio.Limit(0)
	nio.Await(now, now+patience)
	for nio.Fill() == nil {
		nio.Consume(len(nio.Buffered()))
	}
}

// isUpper reports whether b is an upper-case letter, as HTTP methods begin with.
func isUpper(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
