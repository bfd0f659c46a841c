package tlsconf_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

const endpoint = "192.0.2.1:443"

func pin(i *x509.Certificate) string {
	sum := sha256.Sum256(i.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// expectation is what both sides should say of a handshake.
type expectation struct {
	name   string
	server func(*tlsconf.ServerOptions)
	client func(*tlsconf.ClientOptions)
	host   string // of the endpoint; "" is web.test

	// What each side explains it by; None where all went well.
	atServer, atClient fault.Kind
	// Of TLS 1.2, where it differs.
	atClient12 fault.Kind
	// What the reasons have to have.
	serverSays, clientSays []string
	// Where it is of one version alone.
	only uint16
}

// TestHandshakes has a Client meet a Server: in every way that may fail, both
// tell what the matter is.
func TestHandshakes(t *testing.T) {
	ca, other := newAuthority(t, "test authority", nil), newAuthority(t, "other authority", nil)
	web := ca.issue([]string{"web.test", "*.wild.test", "127.0.0.1"})
	mesh := ca.issue([]string{"spiffe://mesh/ns/default/web"})
	me := ca.issue([]string{"spiffe://mesh/ns/default/me", "me.mesh.test"})
	tests := slicesOf(
		valid(ca, other, web, mesh, me),
		endpointRefused(t, ca, other, web, mesh),
		clientRefused(t, ca, other, me),
		nothingInCommon(),
	)
	for _, tt := range tests {
		for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if tt.only != 0 && tt.only != v {
				continue
			}
			t.Run(fmt.Sprint(tt.name, "/", tls.VersionName(v)), func(t *testing.T) {
				so := tlsconf.ServerOptions{Name: "edge", Certificates: []tlsconf.Files{web.Files}, MaxVersion: v}
				co := tlsconf.ClientOptions{Name: "web", CA: ca.File}
				if tt.server != nil {
					tt.server(&so)
				}
				if tt.client != nil {
					tt.client(&co)
				}
				host, atClient := tt.host, tt.atClient
				if host == "" {
					host = "web.test"
				}
				if v == tls.VersionTLS12 && tt.atClient12 != fault.None {
					atClient = tt.atClient12
				}
				s, c := shake(t, newServer(t, so).Config(), newClient(t, co).Config(host))
				check(t, "server", tt.atServer, tt.serverSays, s.err, tlsconf.ExplainServer)
				check(t, "client", atClient, tt.clientSays, c.err, func(err error) *fault.Error { return tlsconf.ExplainClient(err, endpoint) })
			})
		}
	}
}

func check(t *testing.T, side string, want fault.Kind, says []string, err error, explain func(error) *fault.Error) {
	t.Helper()
	if err == nil || want == fault.None {
		if err != nil || want != fault.None {
			t.Errorf("%s: error %v, want the kind %s", side, err, want)
		}
		return
	}
	f := explain(err)
	if f.Kind != want || !hasAll(f.Error(), says) {
		t.Errorf("%s: %v\nis %s: %s\nwant %s: %q", side, err, f.Kind, f, want, says)
	}
	if side == "client" && !strings.Contains(f.Reason, endpoint) {
		t.Errorf("%q does not name the endpoint", f.Reason)
	}
}

func slicesOf(groups ...[]expectation) (all []expectation) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// valid are handshakes that end well.
func valid(ca, other *authority, web, mesh, me issued) []expectation {
	mutual := func(san ...string) func(*tlsconf.ServerOptions) {
		return func(o *tlsconf.ServerOptions) {
			o.ClientAuth, o.ClientCA, o.ClientSAN = tlsconf.Require, ca.File, san
		}
	}
	showing := func(o *tlsconf.ClientOptions) { o.Cert, o.Key = me.Cert, me.Key }
	serving := func(i issued) func(*tlsconf.ServerOptions) {
		return func(o *tlsconf.ServerOptions) { o.Certificates = []tlsconf.Files{i.Files} }
	}
	accepting := func(san ...string) func(*tlsconf.ClientOptions) {
		return func(o *tlsconf.ClientOptions) { o.SAN = san }
	}
	pinning := func(pins ...string) func(*tlsconf.ClientOptions) {
		return func(o *tlsconf.ClientOptions) { o.SPKI = pins }
	}
	return []expectation{
		{name: "by name"},
		{name: "by wildcard", host: "any.wild.test"},
		{name: "by address", host: "127.0.0.1"},
		{name: "with a dot at the end", host: "web.test."},
		{name: "by SNI", host: "10.1.2.3", client: func(o *tlsconf.ClientOptions) { o.SNI = "web.test" }},
		{name: "by SPIFFE id", server: serving(mesh), client: accepting("spiffe://mesh/ns/default/web")},
		{name: "by SPIFFE ids below", server: serving(mesh), client: accepting("other.test", "spiffe://mesh/ns/default/*")},
		{name: "by trust domain", server: serving(mesh), client: accepting("spiffe://mesh")},
		{name: "by another DNS name", host: "10.1.2.3", client: accepting("*.wild.test")},
		{name: "pinned", client: pinning(pin(other.cert), pin(web.cert))},
		{name: "authority pinned", client: pinning(pin(ca.cert))},
		{name: "insecure", host: "other.test", client: func(o *tlsconf.ClientOptions) { o.CA, o.Insecure = other.File, true }},
		{name: "client certificate", server: mutual(), client: showing},
		{name: "client by SPIFFE id", server: mutual("spiffe://mesh/ns/default/*"), client: showing},
		{name: "client by DNS name", server: mutual("*.mesh.test"), client: showing},
		{name: "client certificate requested, not shown", server: func(o *tlsconf.ServerOptions) {
			o.ClientAuth, o.ClientCA, o.ClientSAN = tlsconf.Request, ca.File, []string{"nobody.test"}
		}},
		{name: "client certificate requested by nobody", client: showing},
	}
}

// endpointRefused are endpoints that the client does not accept.
func endpointRefused(t *testing.T, ca, other *authority, web, mesh issued) []expectation {
	old := newAuthority(t, "intermediate", ca, expired)
	between := newAuthority(t, "intermediate", ca)
	dir := t.TempDir()
	chained := func(a *authority, with bool) func(*tlsconf.ServerOptions) {
		i := a.issue([]string{"web.test"})
		if with {
			write(t, i.Cert, read(t, i.Cert), read(t, a.File))
		}
		return func(o *tlsconf.ServerOptions) { o.Certificates = []tlsconf.Files{i.Files} }
	}
	serving := func(i issued) func(*tlsconf.ServerOptions) {
		return func(o *tlsconf.ServerOptions) { o.Certificates = []tlsconf.Files{i.Files} }
	}
	clientOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	gone := ca.issue([]string{"web.test"})
	crl := ca.revoke(filepath.Join(dir, "crl.pem"), gone)
	// An authority that is pinned, shown beside a certificate that it has not
	// signed.
	borrowed := other.issue([]string{"web.test"})
	write(t, borrowed.Cert, read(t, borrowed.Cert), read(t, ca.File))
	insecure := func(o *tlsconf.ClientOptions) { o.CA, o.Insecure, o.SPKI = "", true, []string{pin(between.cert)} }
	refused := func(name string, kind fault.Kind, server func(*tlsconf.ServerOptions), client func(*tlsconf.ClientOptions), says ...string) expectation {
		return expectation{name: name, server: server, client: client, atServer: fault.ClientTLSAlert, atClient: kind,
			serverSays: []string{`alert "bad certificate"`, "does not accept the listener's certificate"}, clientSays: says}
	}
	tests := []expectation{
		refused("expired", fault.CertExpired, serving(ca.issue([]string{"web.test"}, expired)), nil, `"CN=holder`, "has expired", "valid from 20", `"CN=test authority"`, "renew"),
		refused("not yet valid", fault.CertExpired, serving(ca.issue([]string{"web.test"}, future)), nil, "is not valid yet", "clock"),
		refused("unknown authority", fault.CertUnknown, nil, func(o *tlsconf.ClientOptions) { o.CA = other.File }, "not signed by an authority", "the file of ca"),
		refused("intermediate missing", fault.CertUnknown, chained(between, false), nil, "all certificates between"),
		refused("intermediate expired", fault.CertExpired, chained(old, true), nil, `"CN=intermediate"`, "has expired"),
		refused("SPIFFE mismatch", fault.CertName, serving(mesh), func(o *tlsconf.ClientOptions) { o.SAN = []string{"spiffe://mesh/ns/other/*", "a.test"} },
			`is for "spiffe://mesh/ns/default/web"`, `san lets in "spiffe://mesh/ns/other/*", "a.test" alone`),
		refused("revoked", fault.CertRevoked, serving(gone), func(o *tlsconf.ClientOptions) { o.CRL = crl }, "was revoked on 20", "crl"),
		refused("pin mismatch", fault.CertPin, nil, func(o *tlsconf.ClientOptions) { o.SPKI = []string{pin(other.cert)} }, pin(web.cert), "pinned (spki)"),
		refused("insecure, pin mismatch", fault.CertPin, nil, insecure, pin(web.cert)),
		refused("insecure, pin of an authority that did not sign", fault.CertPin, serving(borrowed), func(o *tlsconf.ClientOptions) {
			o.Insecure, o.SPKI = true, []string{pin(ca.cert)}
		}, pin(borrowed.cert)),
		refused("wrong usage", fault.CertUnsuitable, serving(ca.issue([]string{"web.test"}, clientOnly)), nil, "not made for server authentication"),
		{name: "intermediate shown", server: chained(between, true)},
		{name: "insecure, pin of the authority that signed", server: chained(between, true), client: insecure},
		{name: "not revoked", client: func(o *tlsconf.ClientOptions) { o.CRL = crl }},
	}
	var many []string
	for i := range 7 {
		many = append(many, fmt.Sprintf("name%d.%s.test", i, strings.Repeat(strings.Repeat("x", 60)+".", 3)+strings.Repeat("y", 20)))
	}
	nameless := func(c *x509.Certificate) { c.Subject.CommonName = "" }
	tests = append(tests,
		refused("many long names", fault.CertName, serving(ca.issue(many, nameless)), nil, `192.0.2.1:443, "name0.xxx`, `...", 2 more, and not for "web.test"`),
		refused("no name", fault.CertName, serving(ca.issue(nil)), nil, "is for no name"))
	mismatch := refused("name mismatch", fault.CertName, nil, nil, `is for "web.test", "*.wild.test", "127.0.0.1", and not for "api.test"`, "sni")
	mismatch.host = "api.test"
	return append(tests, mismatch)
}

// clientRefused are clients that the server does not accept.
func clientRefused(t *testing.T, ca, other *authority, me issued) []expectation {
	serverOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	crl := ca.revoke(filepath.Join(t.TempDir(), "crl.pem"), me)
	between := newAuthority(t, "intermediate", ca)
	below := between.issue([]string{"me.test"})
	write(t, below.Cert, read(t, below.Cert), read(t, between.File))
	betweenRevoked := ca.revoke(filepath.Join(t.TempDir(), "crl.pem"), issued{cert: between.cert})
	refused := func(name string, auth tlsconf.ClientAuth, show issued, kind fault.Kind, change func(*tlsconf.ServerOptions), alert string, says ...string) expectation {
		return expectation{
			name: name, atServer: kind, atClient: fault.TLSCertRejected, serverSays: append(says, "the client"),
			clientSays: []string{fmt.Sprintf("alert %q", alert), "the cluster's client certificate"},
			server: func(o *tlsconf.ServerOptions) {
				o.ClientAuth, o.ClientCA = auth, ca.File
				if change != nil {
					change(o)
				}
			},
			client: func(o *tlsconf.ClientOptions) { o.Cert, o.Key = show.Cert, show.Key },
		}
	}
	missing := refused("missing", tlsconf.Require, issued{}, fault.ClientCertMissing, nil, "", "showed no certificate", "client_auth")
	missing.atClient, missing.atClient12, missing.clientSays = fault.TLSCertMissing, fault.TLSAlert, []string{"certificate"}
	return []expectation{
		missing,
		refused("expired", tlsconf.Require, ca.issue([]string{"me.test"}, expired), fault.ClientCertExpired, nil, "expired certificate", "has expired", `"CN=holder`, "valid from 20"),
		refused("not yet valid", tlsconf.Require, ca.issue([]string{"me.test"}, future), fault.ClientCertExpired, nil, "expired certificate", "is not valid yet"),
		refused("unknown", tlsconf.Require, other.issue([]string{"me.test"}), fault.ClientCertUnknown, nil, "unknown certificate authority", "client_ca", `"CN=other authority"`),
		refused("requested and unknown", tlsconf.Request, other.issue([]string{"me.test"}), fault.ClientCertUnknown, nil, "unknown certificate authority"),
		refused("revoked", tlsconf.Require, me, fault.ClientCertRevoked, func(o *tlsconf.ServerOptions) { o.CRL = crl }, "bad certificate", "was revoked on 20"),
		refused("authority revoked", tlsconf.Require, below, fault.ClientCertRevoked, func(o *tlsconf.ServerOptions) { o.CRL = betweenRevoked }, "bad certificate", "CN=intermediate"),
		refused("not let in", tlsconf.Require, me, fault.ClientCertName, func(o *tlsconf.ServerOptions) { o.ClientSAN = []string{"spiffe://mesh/ns/admin/*"} },
			"bad certificate", `"spiffe://mesh/ns/default/me"`, `client_san lets in "spiffe://mesh/ns/admin/*" alone`),
		refused("requested and not let in", tlsconf.Request, me, fault.ClientCertName, func(o *tlsconf.ServerOptions) { o.ClientSAN = []string{"a.test"} }, "bad certificate"),
		refused("wrong usage", tlsconf.Require, ca.issue([]string{"me.test"}, serverOnly), fault.ClientCertUnsuitable, nil, "bad certificate", "not made for client authentication"),
	}
}

// nothingInCommon are sides of which neither speaks what the other does.
func nothingInCommon() []expectation {
	return []expectation{
		{
			name: "older client", only: tls.VersionTLS13,
			server:   func(o *tlsconf.ServerOptions) { o.MinVersion = tls.VersionTLS13 },
			client:   func(o *tlsconf.ClientOptions) { o.MaxVersion = tls.VersionTLS12 },
			atServer: fault.ClientTLSVersion, atClient: fault.TLSVersion,
			serverSays: []string{"[TLS 1.2]", "min_version"}, clientSays: []string{"min_version"},
		},
		{
			name: "newer client", only: tls.VersionTLS12,
			client:   func(o *tlsconf.ClientOptions) { o.MinVersion = tls.VersionTLS13 },
			atServer: fault.ClientTLSVersion, atClient: fault.TLSVersion,
			serverSays: []string{"[TLS 1.3]", "max_version"}, clientSays: []string{"max_version"},
		},
		{
			name:     "no ALPN overlap, HTTP/1 to HTTP/2",
			server:   func(o *tlsconf.ServerOptions) { o.ALPN = []string{"h2"} },
			client:   func(o *tlsconf.ClientOptions) { o.ALPN = []string{"http/1.1"} },
			atServer: fault.ClientTLSALPN, atClient: fault.TLSALPN,
			serverSays: []string{`"http/1.1"`, "alpn"}, clientSays: []string{"ALPN"},
		},
		{
			name:     "no ALPN overlap, HTTP/2 to HTTP/1",
			server:   func(o *tlsconf.ServerOptions) { o.ALPN = []string{"http/1.1"} },
			client:   func(o *tlsconf.ClientOptions) { o.ALPN = []string{"h2"} },
			atServer: fault.ClientTLSALPN, atClient: fault.TLSALPN,
			serverSays: []string{`"h2"`, "alpn"}, clientSays: []string{"ALPN"},
		},
		{
			name:   "ALPN overlap",
			server: func(o *tlsconf.ServerOptions) { o.ALPN = []string{"h2"} },
			client: func(o *tlsconf.ClientOptions) { o.ALPN = []string{"http/1.1", "h2"} },
		},
	}
}

// TestNotTLS has one side, or both, speak something else.
func TestNotTLS(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	server := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{ca.issue([]string{"web.test"}).Files}}).Config()
	client := newClient(t, tlsconf.ClientOptions{CA: ca.File}).Config("web.test")
	tests := []struct {
		name, sends string
		asServer    bool // what does not speak TLS is the client
		kind        fault.Kind
		says        string
	}{
		{"HTTP/1 request", "GET / HTTP/1.1\r\n\r\n", true, fault.ClientTLS, "speaks plain HTTP"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true, fault.ClientTLS, "speaks plain HTTP"},
		{"long method", "OPTIONS * HTTP/1.1\r\n\r\n", true, fault.ClientTLS, "speaks plain HTTP"},
		{"anything", "\x00\x01\x02\x03\x04\x05", true, fault.ClientTLS, "does not speak TLS"},
		{"nothing", "", true, fault.ClientTLS, "the client closed the connection"},
		{"HTTP/1 response", "HTTP/1.1 400 Bad Request\r\n\r\n", false, fault.TLSFailed, "does not speak TLS but plain HTTP: use http://"},
		{"anything from the endpoint", "SSH-2.0-OpenSSH\r\n", false, fault.TLSFailed, "does not speak TLS"},
		{"nothing from the endpoint", "", false, fault.TLSFailed, "closed the connection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			down, up := connect(t)
			odd, c := down, tls.Client(up, client)
			if tt.asServer {
				odd, c = up, tls.Server(down, server)
			}
			if _, err := io.WriteString(odd, tt.sends); err != nil {
				t.Fatal(err)
			}
			odd.(*net.TCPConn).CloseWrite()
			err := c.Handshake()
			if err == nil {
				t.Fatal("they have shaken hands")
			}
			f := tlsconf.ExplainClient(err, endpoint)
			if tt.asServer {
				f = tlsconf.ExplainServer(err)
			}
			if f.Kind != tt.kind || !strings.Contains(f.Reason, tt.says) {
				t.Errorf("%v\nis %s: %s\nwant %s: %s", err, f.Kind, f, tt.kind, tt.says)
			}
		})
	}

	t.Run("reset", func(t *testing.T) {
		down, up := connect(t)
		up.(*net.TCPConn).SetLinger(0)
		up.Close()
		err := tls.Server(down, server).Handshake()
		if f := tlsconf.ExplainServer(err); f.Kind != fault.ClientTLS || !strings.Contains(f.Reason, "the client reset the connection") {
			t.Errorf("%v is %s: %s", err, f.Kind, f)
		}
	})
	t.Run("too late", func(t *testing.T) {
		f := tlsconf.ExplainClient(os.ErrDeadlineExceeded, endpoint)
		if f.Kind != fault.TLSFailed || f.Unwrap() != os.ErrDeadlineExceeded {
			t.Errorf("%s: %s", f.Kind, f)
		}
	})
}
