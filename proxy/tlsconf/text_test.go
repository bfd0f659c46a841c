package tlsconf_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// serverHello is the first word of a server: of TLS 1.2 or older by version,
// with extensions.
func serverHello(version uint16, extensions ...byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, make([]byte, 32+1)...) // random; no session id
	body = binary.BigEndian.AppendUint16(body, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
	body = append(body, 0) // no compression
	body = binary.BigEndian.AppendUint16(body, uint16(len(extensions)))
	body = append(body, extensions...)
	message := append([]byte{2, 0, 0, byte(len(body))}, body...)
	return append([]byte{22, 3, 3, 0, byte(len(message))}, message...)
}

// TestTexts has each of the errors that are told by their text made by a real
// handshake. It fails when a new Go writes them otherwise.
func TestTexts(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	web := ca.issue([]string{"web.test"})
	broken := tls.Certificate{Certificate: [][]byte{[]byte("broken")}, PrivateKey: web.pair.PrivateKey}
	server := func(change func(*tlsconf.ServerOptions)) *tls.Config {
		o := tlsconf.ServerOptions{Certificates: []tlsconf.Files{web.Files}, ALPN: []string{"h2"}, ClientCA: ca.File}
		if change != nil {
			change(&o)
		}
		return newServer(t, o).Config()
	}
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{InsecureSkipVerify: true}
		if change != nil {
			change(c)
		}
		return c
	}
	ours := newClient(t, tlsconf.ClientOptions{CA: ca.File, ALPN: []string{"h2"}}).Config("web.test")
	require := func(o *tlsconf.ServerOptions) { o.ClientAuth = tlsconf.Require }
	var errs []error
	met := func(s, c *tls.Config, atServer bool) {
		t.Helper()
		a, b := shake(t, s, c)
		if !atServer {
			a = b
		}
		errs = append(errs, a.err)
	}
	met(server(nil), client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), true)
	met(server(nil), client(func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }), true)
	met(server(require), client(nil), true)
	met(server(nil), client(func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	}), true)
	met(server(require), client(func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &broken, nil }
	}), true)
	met(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &broken, nil }}, ours, false)
	for _, hello := range [][]byte{
		serverHello(tls.VersionTLS11),
		serverHello(tls.VersionTLS12, 0, 16, 0, 5, 0, 3, 2, 'q', 'q'),
	} {
		down, up := connect(t)
		down.Write(hello)
		errs = append(errs, tls.Client(up, ours).Handshake())
	}

	seen := map[string]bool{}
	for _, err := range errs {
		if err == nil {
			t.Error("a handshake went well")
			continue
		}
		known := false
		for _, text := range tlsconf.Texts() {
			if strings.HasPrefix(err.Error(), text) {
				known, seen[text] = true, true
			}
		}
		if !known {
			t.Errorf("crypto/tls says %q, which no text begins", err)
		}
	}
	for _, text := range tlsconf.Texts() {
		if !seen[text] {
			t.Errorf("crypto/tls did not say %q", text)
		}
	}
	for i, want := range []struct {
		kind fault.Kind
		says string
	}{
		{fault.ClientTLSVersion, "it offered [TLS 1.1 TLS 1.0]"}, {fault.ClientTLSALPN, `it offered (["spdy/3"])`},
		{fault.ClientCertMissing, "showed no certificate"}, {fault.ClientTLS, "no cipher suite"},
		{fault.ClientCertUnsuitable, "can not be parsed"}, {fault.CertUnsuitable, "can not be parsed"},
		{fault.TLSVersion, "it chose TLS 1.1"}, {fault.TLSALPN, "was not offered"},
	} {
		f := tlsconf.ExplainServer(errs[i])
		if want.kind.Side() == fault.Upstream {
			f = tlsconf.ExplainClient(errs[i], endpoint)
		}
		if f.Kind != want.kind || !strings.Contains(f.Reason, want.says) {
			t.Errorf("%v\nis %s: %s\nwant %s: %s", errs[i], f.Kind, f, want.kind, want.says)
		}
	}
}

// TestAlerts has an endpoint answer with each alert there can be: crypto/tls has
// them in a type of its own, and Alert finds them all the same.
func TestAlerts(t *testing.T) {
	client := newClient(t, tlsconf.ClientOptions{}).Config("web.test")
	kinds := map[tls.AlertError]fault.Kind{70: fault.TLSVersion, 116: fault.TLSCertMissing, 120: fault.TLSALPN}
	for _, rejected := range []tls.AlertError{42, 43, 44, 45, 46, 48, 49} {
		kinds[rejected] = fault.TLSCertRejected
	}
	for code := 1; code < 256; code++ {
		want := tls.AlertError(code)
		down, up := connect(t)
		down.Write([]byte{21, 3, 3, 0, 2, 2, byte(code)})
		err := tls.Client(up, client).Handshake()
		up.Close()
		down.Close()
		if got, ok := tlsconf.Alert(err); !ok || got != want {
			t.Errorf("%v is the alert %d, %t; want %d", err, got, ok, code)
		}
		kind := kinds[want]
		if kind == fault.None {
			kind = fault.TLSAlert
		}
		f := tlsconf.ExplainClient(err, endpoint)
		if f.Kind != kind || strings.Contains(f.Reason, "%") || !strings.Contains(f.Reason, endpoint) {
			t.Errorf("alert %d is %s: %s; want %s", code, f.Kind, f, kind)
		}
	}
	for _, err := range []error{io.EOF, nil, &net.OpError{Op: "remote error"}, &net.OpError{Op: "read", Err: tls.AlertError(42)}, &net.OpError{Op: "remote error", Err: errors.New("other")}} {
		if code, ok := tlsconf.Alert(err); ok {
			t.Errorf("%v has the alert %d", err, code)
		}
	}
}
