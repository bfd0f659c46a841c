package tlsconf_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/events"
)

// TestReload has a listener's files change under it.
func TestReload(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	web, next, last := ca.issue([]string{"web.test"}), ca.issue([]string{"next.test"}), ca.issue([]string{"last.test"})
	log, logger := newLog(t)
	notes := make(chan string, 100)
	s := newServer(t, tlsconf.ServerOptions{Name: "edge", Certificates: []tlsconf.Files{web.Files}, Log: logger,
		Note: func(kind events.Kind, text string) { notes <- string(kind) + ": " + text }})
	noted := func(want string) {
		t.Helper()
		for !strings.HasPrefix(<-notes, want) {
		}
	}
	served := func(want issued) {
		t.Helper()
		_, c := shake(t, s.Config(), &tls.Config{InsecureSkipVerify: true})
		if c.err != nil || !c.state.PeerCertificates[0].Equal(want.cert) {
			t.Errorf("error %v, or another certificate", c.err)
		}
	}
	served(web)
	if reloads, failures, end := s.Stats(); reloads != 0 || failures != 0 || !end.Equal(web.cert.NotAfter) {
		t.Errorf("%d reloads, %d failures, expires %s", reloads, failures, end)
	}
	down, up := connect(t)
	before, beforeUp := tls.Server(down, s.Config()), tls.Client(up, &tls.Config{InsecureSkipVerify: true})
	go before.Handshake()
	if err := beforeUp.Handshake(); err != nil {
		t.Fatal(err)
	}

	// A half-written file, and a key of another certificate, are not used.
	whole := read(t, next.Cert)
	write(t, web.Cert, whole[:len(whole)/2])
	line := log.wait("level=ERROR", "stay in use", "no certificate in PEM", web.Cert)
	noted("certificate_rejected: changed TLS files of listener edge are of no use, those from before stay in use: ")
	if strings.Contains(line, "PRIVATE KEY") {
		t.Errorf("a key in the log: %s", line)
	}
	served(web)
	write(t, web.Cert, whole)
	log.wait("level=ERROR", "is not the private key", web.Key, web.Cert)
	served(web)
	if err := os.Remove(web.Key); err != nil {
		t.Fatal(err)
	}
	log.wait("level=ERROR", "can not be read", web.Key)
	served(web)
	if reloads, failures, end := s.Stats(); reloads != 0 || failures != 3 || !end.Equal(web.cert.NotAfter) {
		t.Errorf("%d reloads, %d failures, expires %s", reloads, failures, end)
	}

	// What is whole is.
	write(t, web.Key, read(t, next.Key))
	log.wait("level=INFO", "new certificate in use", "listener=edge", "CN=holder 2", "next.test", "expires="+next.cert.NotAfter.Format("2006-01-02"))
	served(next)
	noted("certificate_replaced: listener edge has a new certificate, of CN=holder 2")
	write(t, web.Key, read(t, last.Key))
	write(t, web.Cert, read(t, last.Cert))
	log.wait("level=INFO", "new certificate in use", "last.test")
	served(last)
	// Of two files that change one after the other, the first may be seen alone.
	if reloads, _, end := s.Stats(); reloads < 2 || !end.Equal(last.cert.NotAfter) {
		t.Errorf("%d reloads, expires %s", reloads, end)
	}

	// The connection from before goes on.
	if _, err := beforeUp.Write([]byte("still here")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(before, make([]byte, len("still here"))); err != nil {
		t.Error(err)
	}

	s.Close()
	served(last)
	s.Close()
}

// TestReloadInPlace has a file written where it is.
func TestReloadInPlace(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	log, logger := newLog(t)
	c := newClient(t, tlsconf.ClientOptions{Name: "api", CA: ca.File, Log: logger})
	other := newAuthority(t, "other authority", nil)
	if err := os.WriteFile(ca.File, read(t, other.File), 0o600); err != nil {
		t.Fatal(err)
	}
	log.wait("level=INFO", "changed TLS files in use", "cluster=api")
	s := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{other.issue([]string{"web.test"}).Files}})
	if _, atClient := shake(t, s.Config(), c.Config("web.test")); atClient.err != nil {
		t.Error(atClient.err)
	}
}

// TestReloadLinks has files replaced as Kubernetes replaces those of a secret: by
// a symbolic link to the folder that they are in.
func TestReloadLinks(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	dir := t.TempDir()
	mount := func(name string, i issued) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "tls.pem"), read(t, i.Cert), read(t, i.Key))
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := ca.issue([]string{"first.test"}), ca.issue([]string{"second.test"}), ca.issue([]string{"third.test"})
	mount("..1", first)
	path := filepath.Join(dir, "tls.pem")
	if err := os.Symlink(filepath.Join("..data", "tls.pem"), path); err != nil {
		t.Fatal(err)
	}
	log, logger := newLog(t)
	s := newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{{Cert: path, Key: path}}, Log: logger})
	mount("..2", second)
	log.wait("new certificate in use", "second.test")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	mount("..3", third)
	log.wait("new certificate in use", "third.test")
	// What the links lead to is watched too.
	replace(t, tlsconf.Files{Cert: filepath.Join(dir, "..3", "tls.pem")}, first)
	log.wait("new certificate in use", "first.test")
	if reloads, failures, _ := s.Stats(); reloads < 3 || failures > 0 {
		t.Errorf("%d reloads, %d failures", reloads, failures)
	}
}

// TestReloadClient has a cluster's files change: what was resumable is not, or is
// verified again.
func TestReloadClient(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			ca := newAuthority(t, "test authority", nil)
			me, next := ca.issue([]string{"me.test"}), ca.issue([]string{"me.test"})
			web := ca.issue([]string{"web.test"})
			crl := ca.revoke(filepath.Join(t.TempDir(), "crl.pem"))
			s := newServer(t, tlsconf.ServerOptions{
				Certificates: []tlsconf.Files{web.Files}, MaxVersion: v, SessionTickets: true,
				ClientAuth: tlsconf.Require, ClientCA: ca.File,
			})
			log, logger := newLog(t)
			mine := joint(t, me)
			c := newClient(t, tlsconf.ClientOptions{CA: ca.File, Cert: mine.Cert, Key: mine.Key, CRL: crl, Log: logger})
			meet := func(want issued, resumed bool) {
				t.Helper()
				atServer, atClient := shake(t, s.Config(), c.Config("web.test"))
				if atServer.err != nil || atClient.err != nil {
					t.Fatal(atServer.err, atClient.err)
				}
				if got := atServer.state; got.DidResume != resumed || !got.PeerCertificates[0].Equal(want.cert) {
					t.Errorf("resumed: %t, of %s", got.DidResume, got.PeerCertificates[0].Subject)
				}
			}
			meet(me, false)
			config := c.Config("web.test")
			meet(me, true)
			if c.Config("web.test") != config || c.Config("other.test") == config {
				t.Error("a Config is kept for each host")
			}
			replace(t, mine, next)
			log.wait("new certificate in use")
			meet(next, false)
			meet(next, true)
			ca.revoke(crl, ca.issue([]string{"other.test"}))
			log.wait("changed TLS files in use")
			meet(next, true) // sessions survive
			ca.revoke(crl, web)
			log.wait("changed TLS files in use")
			if _, atClient := shake(t, s.Config(), c.Config("web.test")); atClient.err == nil || !strings.Contains(tlsconf.ExplainClient(atClient.err, endpoint).Reason, "was revoked") {
				t.Errorf("error %v", atClient.err)
			}
		})
	}
}

// TestLoadErrors has files that are of no use from the beginning.
func TestLoadErrors(t *testing.T) {
	ca, other := newAuthority(t, "test authority", nil), newAuthority(t, "other authority", nil)
	web, api := ca.issue([]string{"web.test"}), ca.issue([]string{"api.test"})
	dir := t.TempDir()
	file := func(name string, data ...[]byte) string {
		path := filepath.Join(dir, name)
		write(t, path, data...)
		return path
	}
	absent := filepath.Join(dir, "absent.pem")
	empty, junk := file("empty.pem"), file("junk.pem", block("CERTIFICATE", []byte("junk")))
	server := func(cert, key string, change ...func(*tlsconf.ServerOptions)) func() error {
		return func() error {
			o := tlsconf.ServerOptions{Certificates: []tlsconf.Files{{Cert: cert, Key: key}}}
			for _, f := range change {
				f(&o)
			}
			_, err := tlsconf.NewServer(o)
			return err
		}
	}
	auth := func(ca, crl string, san ...string) func(*tlsconf.ServerOptions) {
		return func(o *tlsconf.ServerOptions) {
			o.ClientAuth, o.ClientCA, o.CRL, o.ClientSAN = tlsconf.Require, ca, crl, san
		}
	}
	client := func(o tlsconf.ClientOptions) func() error {
		return func() error {
			_, err := tlsconf.NewClient(o)
			return err
		}
	}
	for _, tt := range []struct {
		name string
		load func() error
		want []string
	}{
		{"no certificate", func() error { _, err := tlsconf.NewServer(tlsconf.ServerOptions{}); return err }, []string{"a certificate and its key are needed"}},
		{"absent certificate", server(absent, web.Key), []string{absent, "no such file"}},
		{"absent key", server(web.Cert, absent), []string{absent, "no such file"}},
		{"folder", server(dir, web.Key), []string{dir, "not a regular file"}},
		{"empty", server(empty, web.Key), []string{empty, "no certificate in PEM"}},
		{"junk", server(junk, web.Key), []string{junk, "certificate 1 in", "can not be parsed"}},
		{"key for certificate", server(web.Key, web.Cert), []string{web.Key, "no certificate in PEM"}},
		{"no key", server(web.Cert, web.Cert), []string{web.Cert, "is not the private key"}},
		{"another's key", server(web.Cert, api.Key), []string{api.Key, web.Cert, "does not match"}},
		{"no client CA", server(web.Cert, web.Key, auth("", "")), []string{"client_ca"}},
		{"absent client CA", server(web.Cert, web.Key, auth(absent, "")), []string{absent}},
		{"bad name", server(web.Cert, web.Key, auth(ca.File, "", "https://a.test/")), []string{`"https://a.test/"`, "no SPIFFE id"}},
		{"absent CRL", server(web.Cert, web.Key, auth(ca.File, absent)), []string{absent}},
		{"no CRL", server(web.Cert, web.Key, auth(ca.File, web.Cert)), []string{web.Cert, "has no revocation list"}},
		{"junk CRL", server(web.Cert, web.Key, auth(ca.File, file("junk.crl", block("X509 CRL", []byte("junk"))))), []string{"revocation list 1", "can not be parsed"}},
		{"another's CRL", server(web.Cert, web.Key, auth(ca.File, other.revoke(filepath.Join(dir, "other.crl")))), []string{"other.crl", "CN=other authority", "signed by none"}},
		{"certificate without key", client(tlsconf.ClientOptions{Cert: web.Cert}), []string{"only of use together"}},
		{"CRL without CA", client(tlsconf.ClientOptions{CRL: absent}), []string{"(ca)"}},
		{"bad pin", client(tlsconf.ClientOptions{SPKI: []string{"YWJj"}}), []string{`"YWJj"`}},
		{"bad SAN", client(tlsconf.ClientOptions{SAN: []string{"spiffe://"}}), []string{`"spiffe://"`}},
		{"absent CA", client(tlsconf.ClientOptions{CA: absent}), []string{absent}},
		{"absent client certificate", client(tlsconf.ClientOptions{Cert: absent, Key: absent}), []string{absent}},
		{"CRL of another CA", client(tlsconf.ClientOptions{CA: ca.File, CRL: filepath.Join(dir, "other.crl")}), []string{"signed by none"}},
	} {
		if err := tt.load(); err == nil || !hasAll(err.Error(), tt.want) || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	// None of these is asked for by a listener without client certificates.
	newServer(t, tlsconf.ServerOptions{Certificates: []tlsconf.Files{web.Files}, ClientCA: absent, CRL: absent})
}

// TestWarnings has files in use that will not do for long.
func TestWarnings(t *testing.T) {
	ca := newAuthority(t, "test authority", nil)
	old := newAuthority(t, "old authority", nil, expired)
	web := ca.issue([]string{"web.test"}, expired)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	write(t, bundle, read(t, ca.File), read(t, old.File))
	gone := ca.issue([]string{"me.test"})
	crl := filepath.Join(t.TempDir(), "crl.der")
	write(t, crl, ca.list(time.Now().Add(-time.Hour), gone)) // in DER
	log, logger := newLog(t)
	s := newServer(t, tlsconf.ServerOptions{
		Certificates: []tlsconf.Files{web.Files}, ClientAuth: tlsconf.Require, ClientCA: bundle, CRL: crl, Log: logger,
	})
	all := strings.Join(log.rest(), "")
	for _, want := range []string{"has expired; it is in use all the same", `CN=old authority`, "was due for renewal on"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the log:\n%s", want, all)
		}
	}
	// The list that is out of date is used.
	atServer, _ := shake(t, s.Config(), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{gone.pair}})
	if atServer.err == nil || !strings.Contains(tlsconf.ExplainServer(atServer.err).Reason, "was revoked") {
		t.Errorf("error %v", atServer.err)
	}
}

// TestManyHosts has a Client meet more hosts than it keeps in mind.
func TestManyHosts(t *testing.T) {
	c := newClient(t, tlsconf.ClientOptions{})
	for i := range 10000 {
		ip := net.IPv4(10, 0, byte(i>>8), byte(i)).String()
		if got := c.Config(ip).ServerName; got != ip {
			t.Fatalf("%s is asked for as %s", ip, got)
		}
	}
}
