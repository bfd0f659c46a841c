package tlsconf_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestSNI has certificates chosen by the name that is asked for.
func TestSNI(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	certificates := map[string]issued{
		"first":        ca.issue([]string{"first.test"}),
		"web":          ca.issue([]string{"web.test", "Upper.test"}),
		"web RSA":      ca.issueFor(newRSA(t), []string{"web.test"}),
		"wild":         ca.issue([]string{"*.web.test"}),
		"exact":        ca.issue([]string{"exact.web.test"}),
		"by subject":   ca.issue(nil, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "subject.test"} }),
		"not subject":  ca.issue([]string{"named.test"}, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "unnamed.test"} }),
		"first as RSA": ca.issueFor(newRSA(t), []string{"first.test"}),
	}
	o := tlsconf.ServerOptions{MaxVersion: tls.VersionTLS12}
	for _, name := range []string{"first", "web", "web RSA", "wild", "exact", "by subject", "not subject", "first as RSA"} {
		o.Certificates = append(o.Certificates, certificates[name].Files)
	}
	s := newServer(t, o)
	for _, tt := range []struct {
		asked, want string
		rsa         bool
	}{
		{"", "first", false},
		{"", "first as RSA", true},
		{"unknown.test", "first", false},
		{"first.test", "first", false},
		{"first.test", "first as RSA", true},
		{"web.test", "web", false},
		{"WEB.test", "web", false},
		{"upper.test", "web", false},
		{"web.test", "web RSA", true},
		{"any.web.test", "wild", false},
		{"exact.web.test", "exact", false},
		{"a.b.web.test", "first", false},
		{"subject.test", "by subject", false},
		{"unnamed.test", "first", false},
	} {
		client := &tls.Config{ServerName: tt.asked, InsecureSkipVerify: true}
		if tt.rsa {
			client.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}
		_, c := shake(t, s.Config(), client)
		if c.err != nil {
			t.Errorf("%q: %v", tt.asked, c.err)
			continue
		}
		if got := c.state.PeerCertificates[0]; !got.Equal(certificates[tt.want].cert) {
			t.Errorf("%q, RSA %t: got the certificate for %q, want %q", tt.asked, tt.rsa, got.DNSNames, tt.want)
		}
	}
}

// TestResumption has sessions resumed, for as long as they may be.
func TestResumption(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			ca := newAuthority(t, "test authority", nil)
			web, me, next := ca.issue([]string{"web.test"}), ca.issue([]string{"me.test"}), ca.issue([]string{"web.test"})
			clientCA := filepath.Join(t.TempDir(), "ca.pem")
			write(t, clientCA, read(t, ca.File))
			crl := ca.revoke(filepath.Join(t.TempDir(), "crl.pem"))
			log, logger := newLog(t)
			webFiles := joint(t, web)
			s := newServer(t, tlsconf.ServerOptions{
				Certificates: []tlsconf.Files{webFiles}, MaxVersion: v, SessionTickets: true, Log: logger,
				ClientAuth: tlsconf.Require, ClientCA: clientCA, ClientSAN: []string{"me.test"}, CRL: crl,
			})
			c := newClient(t, tlsconf.ClientOptions{CA: ca.File, Cert: me.Cert, Key: me.Key})
			meet := func(resumed bool, refusal string) {
				t.Helper()
				atServer, atClient := shake(t, s.Config(), c.Config("web.test"))
				if refusal != "" {
					if atServer.err == nil || !strings.Contains(tlsconf.ExplainServer(atServer.err).Reason, refusal) {
						t.Errorf("error %v, want %q", atServer.err, refusal)
					}
				} else if atServer.err != nil || atClient.err != nil || atServer.state.DidResume != resumed {
					t.Errorf("errors %v, %v, resumed: %t; want %t", atServer.err, atClient.err, atServer.state.DidResume, resumed)
				}
			}
			meet(false, "")
			meet(true, "")
			// A new certificate of the listener ends no session.
			replace(t, webFiles, next)
			log.wait("new certificate in use")
			meet(true, "")
			// What a client was let in for is looked at again.
			ca.revoke(crl, me)
			log.wait("changed TLS files in use")
			meet(false, "was revoked")
			ca.revoke(crl)
			log.wait("changed TLS files in use")
			shake(t, s.Config(), c.Config("web.test")) // whether a client tries a session again is its own affair
			meet(true, "")
			// So are the authorities. Without one that signed the list it is of
			// no use, so both stay.
			other := newAuthority(t, "other authority", nil)
			write(t, clientCA, read(t, other.File))
			log.wait("level=ERROR", "is signed by none of the authorities")
			meet(true, "")
			other.revoke(crl)
			log.wait("changed TLS files in use")
			meet(false, "not signed by an authority")
		})
	}
}

// TestNoTickets has sessions not resumed.
func TestNoTickets(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	s := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{ca.issue([]string{"web.test"}).Files}})
	c := newClient(t, tlsconf.ClientOptions{CA: ca.File})
	for range 2 {
		if atServer, atClient := shake(t, s.Config(), c.Config("web.test")); atServer.err != nil || atClient.err != nil || atServer.state.DidResume {
			t.Errorf("%v, %v, resumed: %t", atServer.err, atClient.err, atServer.state.DidResume)
		}
	}
}

// TestSuites has TLS 1.2 with none but AEAD.
func TestSuites(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	web, webRSA := ca.issue([]string{"web.test"}), ca.issueFor(newRSA(t), []string{"web.test"})
	s := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{web.Files, webRSA.Files}})
	accepted := 0
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "web.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}
		_, c := shake(t, s.Config(), client)
		want := strings.HasPrefix(suite.Name, "TLS_ECDHE_") && (strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "POLY1305"))
		if (c.err == nil) != want {
			t.Errorf("%s: error %v", suite.Name, c.err)
		}
		if c.err == nil {
			accepted++
		}
	}
	if accepted != 6 {
		t.Errorf("%d suites are accepted, want 6", accepted)
	}
}

func TestDescribe(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	web := ca.issue([]string{"web.test", "www.test"})
	me := ca.issue([]string{"me.test", "spiffe://mesh/me"})
	s := newServer(t, tlsconf.ServerOptions{
		Certificates: []tlsconf.Files{web.Files}, ALPN: []string{"h2"}, SessionTickets: true, ClientAuth: tlsconf.Request, ClientCA: ca.File,
	})
	c := newClient(t, tlsconf.ClientOptions{CA: ca.File, Cert: me.Cert, Key: me.Key, ALPN: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12})
	atServer, atClient := shake(t, s.Config(), c.Config("web.test"))
	if atServer.err != nil || atClient.err != nil {
		t.Fatal(atServer.err, atClient.err)
	}
	want := &hop.TLS{
		Version: "1.2", Cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ServerName: "web.test", Protocol: "h2",
		Peer: "spiffe://mesh/me", PeerSubject: me.cert.Subject.String(), PeerExpires: me.cert.NotAfter, Handshake: time.Second,
	}
	got := tlsconf.Describe(&atServer.state, time.Second)
	if !strings.HasPrefix(got.Cipher, "TLS_ECDHE_ECDSA_WITH_") {
		t.Errorf("cipher %q", got.Cipher)
	}
	got.Cipher = want.Cipher
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of a client (-want +got):\n%s", diff)
	}
	if got := tlsconf.Describe(&atClient.state, 0); got.Peer != "web.test" || got.Protocol != "h2" || got.Resumed || got.ServerName != "web.test" {
		t.Errorf("of an endpoint: %+v", got)
	}
	_, atClient = shake(t, s.Config(), c.Config("web.test"))
	if got := tlsconf.Describe(&atClient.state, 0); !got.Resumed || got.Peer != "web.test" {
		t.Errorf("of a session that was resumed: %+v", got)
	}
	atServer, _ = shake(t, s.Config(), &tls.Config{InsecureSkipVerify: true})
	if got := tlsconf.Describe(&atServer.state, 0); got.Version != "1.3" || got.Peer != "" || !strings.HasPrefix(got.Cipher, "TLS_AES_") && !strings.HasPrefix(got.Cipher, "TLS_CHACHA20_") {
		t.Errorf("of a client without a certificate: %+v", got)
	}
	nameless := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "me"}}}}
	if got := tlsconf.Describe(&nameless, 0); got.Peer != "CN=me" {
		t.Errorf("of a client without a name: %+v", got)
	}
}

func TestURIs(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	first, second := ca.issue([]string{"web.test", "spiffe://mesh/web"}), ca.issue([]string{"spiffe://mesh/other"})
	s := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{first.Files, second.Files}})
	if diff := cmp.Diff([]string{"spiffe://mesh/web"}, s.URIs()); diff != "" {
		t.Error(diff)
	}
}
