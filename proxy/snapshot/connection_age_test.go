package snapshot_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/config"
)

// aged lets connections become so old.
func aged(age, grace time.Duration) func(*settings) {
	return func(s *settings) {
		for _, l := range []*config.Listener{&s.Listener, &s.Egress} {
			l.MaxConnectionAge, l.MaxConnectionAgeGrace = age, grace
		}
	}
}

// TestConnectionAge: a client that stays is told in time that its connection ends, and
// loses no request by it.
func TestConnectionAge(t *testing.T) {
	t.Parallel()
	rig := startProxy(t, goServer(t, echo), aged(50*time.Millisecond, 0))
	t.Run("HTTP/1", func(t *testing.T) {
		client := dialPeer(t, rig.ingress())
		for last := false; !last; {
			client.send(getRoot)
			response, _ := client.response("GET")
			if response.StatusCode != 200 {
				t.Fatalf("status %d", response.StatusCode)
			}
			last = response.Close
		}
		client.closed()
	})
	t.Run("HTTP/1, idle", func(t *testing.T) {
		client := dialPeer(t, rig.ingress())
		client.send(getRoot)
		client.ok()
		client.closed() // in its own time
	})
	t.Run("HTTP/2", func(t *testing.T) {
		client := dialFramed(t, rig.ingress())
		response, _ := client.response(client.ask(true, "GET", "/"))
		if response.StatusCode != 200 {
			t.Fatalf("status %d", response.StatusCode)
		}
		client.until("GOAWAY", func(f http2.Frame) bool {
			g, is := f.(*http2.GoAwayFrame)
			return is && g.ErrCode == http2.ErrCodeNo
		})
	})
}

// TestConnectionAgeGrace: what goes on for too long is cut, and the record says by whom.
func TestConnectionAgeGrace(t *testing.T) {
	t.Parallel()
	const reason = "max_connection_age_reached"
	slow := goServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	rig := startProxy(t, slow, aged(50*time.Millisecond, 50*time.Millisecond))
	t.Run("HTTP/1", func(t *testing.T) {
		client := dialPeer(t, rig.ingress())
		trace, field := newTrace()
		client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.rest()
		if h := rig.hop(trace); h.Flags.String() != "DT" || h.Details != reason {
			t.Errorf("flags %q, details %q, %q", h.Flags, h.Details, h.Failure.Reason)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		client := dialFramed(t, rig.ingress())
		trace, field := newTrace()
		client.ask(true, "GET", "/", strings.TrimSpace(field))
		for {
			if _, err := client.read(); err != nil {
				break
			}
		}
		if h := rig.hop(trace); h.Flags.String() != "DT" || h.Details != reason {
			t.Errorf("flags %q, details %q, %q", h.Flags, h.Details, h.Failure.Reason)
		}
	})
	t.Run("a tunnel", func(t *testing.T) {
		client := dialPeer(t, rig.egress())
		client.send("CONNECT ", slow, " HTTP/1.1\r\nHost: a\r\n\r\n")
		if first, _ := client.head(); !strings.HasPrefix(first, "HTTP/1.1 200 ") {
			t.Fatalf("received %q", first)
		}
		client.rest() // until it is cut
	})
}

// TestClientsThatAreTrustedNoMore: connections end whose client certificate is of an
// authority that was taken away, or was revoked, and no others.
func TestClientsThatAreTrustedNoMore(t *testing.T) {
	t.Parallel()
	ca, old := newAuthority(t), newAuthority(t)
	pem := func(files ...string) (all []byte) {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, authorities, list string, leaving config.Certificate)
		as     *authority // who signed for the one that has to leave
	}{
		{"the authority is taken away", func(t *testing.T, authorities, _ string, _ config.Certificate) {
			if err := os.WriteFile(authorities, pem(ca.File), 0o600); err != nil {
				t.Fatal(err)
			}
		}, old},
		{"the certificate is revoked", func(t *testing.T, _, list string, leaving config.Certificate) {
			swapFile(t, ca.revoke(leaving), list)
		}, ca},
	} {
		t.Run(tt.name, func(t *testing.T) {
			authorities := t.TempDir() + "/authorities.pem"
			if err := os.WriteFile(authorities, pem(ca.File, old.File), 0o600); err != nil {
				t.Fatal(err)
			}
			list := ca.revoke()
			arrived, answer := make(chan struct{}), make(chan struct{})
			l := startLab(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/waits" {
					arrived <- struct{}{}
					<-answer
				}
				fmt.Fprint(w, "hello")
			}), func(s *settings) {
				listenTLS(&s.Listener, ca.issue("web.test"))
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA, s.Listener.TLS.CRL = "require", authorities, list
			})
			staying, leaving := ca.issue("a.test"), tt.as.issue("b.test")
			shows := ca.trusting("web.test", leaving)
			stays, idle, waits := dialSecure(t, l.ingress(), ca.trusting("web.test", staying)), dialSecure(t, l.ingress(), shows), dialSecure(t, l.ingress(), shows)
			for _, p := range []*securePeer{stays, idle} {
				p.send(getRoot)
				p.ok()
			}
			waits.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
			<-arrived
			h2 := ca.trusting("web.test", leaving)
			h2.NextProtos = []string{"h2"}
			streams := dialFramedTLS(t, l.ingress(), h2)
			if response, _ := streams.response(streams.ask(true, "GET", "/")); response.StatusCode != 200 {
				t.Fatalf("status %d", response.StatusCode)
			}

			tt.change(t, authorities, list, leaving)
			if rest, err := idle.rest(); rest != "" || err != nil {
				t.Errorf("idle: %q, %v", rest, err)
			}
			streams.until("GOAWAY", func(f http2.Frame) bool {
				_, is := f.(*http2.GoAwayFrame)
				return is
			})
			close(answer)
			response, body := waits.response("GET")
			same(t, "in flight: content", body, "hello")
			same(t, "in flight: the connection is to end", response.Close, true)
			stays.send(getRoot)
			if response, _ := stays.response("GET"); response.StatusCode != 200 || response.Close {
				t.Errorf("who is trusted got %d, close %t", response.StatusCode, response.Close)
			}
			if handshakeError(t, l.ingress(), shows) == nil {
				t.Error("who is not trusted is let in again")
			}
			same(t, "connections that had to end", l.scrape().sum("hopscope_downstream_connections_distrusted_total", "listener", "ingress"), 3)
			if !strings.Contains(l.said.String(), "client certificates are not trusted any more") {
				t.Errorf("the log has no word of it: %s", l.said)
			}
		})
	}
}

// TestTunnelsOfClientsThatAreTrustedNoMore are cut, in the end.
func TestTunnelsOfClientsThatAreTrustedNoMore(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	list := ca.revoke()
	target := goServer(t, echo)
	rig := startProxy(t, target, func(s *settings) {
		listenTLS(&s.Egress, ca.issue("web.test"))
		s.Egress.TLS.ClientAuth, s.Egress.TLS.ClientCA, s.Egress.TLS.CRL = "require", ca.File, list
	})
	mine := ca.issue("a.test")
	client := dialSecure(t, rig.egress(), ca.trusting("web.test", mine))
	client.send("CONNECT ", target, " HTTP/1.1\r\nHost: a\r\n\r\n")
	if first, _ := client.head(); !strings.HasPrefix(first, "HTTP/1.1 200 ") {
		t.Fatalf("received %q", first)
	}
	swapFile(t, ca.revoke(mine), list)
	client.rest()
}
