package tls_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// aged lets connections become so old.
func aged(age, grace time.Duration) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) {
		for _, l := range []*config.Listener{&s.Listener, &s.Egress} {
			l.MaxConnectionAge, l.MaxConnectionAgeGrace = age, grace
		}
	}
}

// TestConnectionAge: a client that stays is told in time that its connection ends, and
// loses no request by it.
func TestConnectionAge(t *testing.T) {
	t.Parallel()
	run := func(name string, test func(t testing.TB, rig *proxytest.Proxy)) {
		t.Run(name, func(t *testing.T) {
			proxytest.Unhurried(t, 50*time.Millisecond, func(t testing.TB, age time.Duration) {
				test(t, proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), aged(age, 0)))
			})
		})
	}
	run("HTTP/1", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.Dial(t, rig.Ingress())
		for last := false; !last; {
			client.Send(proxytest.RootRequest)
			response, _ := client.ReadResponse("GET")
			if response.StatusCode != 200 {
				t.Fatalf("status %d", response.StatusCode)
			}
			last = response.Close
		}
		client.ExpectEnd()
	})
	run("HTTP/1, idle", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.Dial(t, rig.Ingress())
		client.Send(proxytest.RootRequest)
		client.ReadOK()
		client.ExpectEnd() // in its own time
	})
	run("HTTP/2", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.DialHTTP2(t, rig.Ingress())
		response, _ := client.ReadResponse(client.Ask(true, "GET", "/"))
		if response.StatusCode != 200 {
			t.Fatalf("status %d", response.StatusCode)
		}
		client.Until("GOAWAY", func(f http2.Frame) bool {
			g, is := f.(*http2.GoAwayFrame)
			return is && g.ErrCode == http2.ErrCodeNo
		})
	})
}

// TestConnectionAgeGrace: what goes on for too long is cut, and the record says by whom.
func TestConnectionAgeGrace(t *testing.T) {
	t.Parallel()
	const reason = "max_connection_age_reached"
	slow := proxytest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	run := func(name string, test func(t testing.TB, rig *proxytest.Proxy)) {
		t.Run(name, func(t *testing.T) {
			proxytest.Unhurried(t, 50*time.Millisecond, func(t testing.TB, age time.Duration) {
				test(t, proxytest.Start(t, slow, aged(age, age)))
			})
		})
	}
	run("HTTP/1", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.Dial(t, rig.Ingress())
		trace, field := proxytest.NewTrace()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
		client.ReadRest()
		if h := rig.Hop(trace); h.Flags.String() != "DT" || h.Details != reason {
			t.Errorf("flags %q, details %q, %q", h.Flags, h.Details, h.Failure.Reason)
		}
	})
	run("HTTP/2", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.DialHTTP2(t, rig.Ingress())
		trace, field := proxytest.NewTrace()
		client.Ask(true, "GET", "/", strings.TrimSpace(field))
		for {
			if _, err := client.ReadNext(); err != nil {
				break
			}
		}
		if h := rig.Hop(trace); h.Flags.String() != "DT" || h.Details != reason {
			t.Errorf("flags %q, details %q, %q", h.Flags, h.Details, h.Failure.Reason)
		}
	})
	run("a tunnel", func(t testing.TB, rig *proxytest.Proxy) {
		client := proxytest.Dial(t, rig.Egress())
		client.Send("CONNECT ", slow, " HTTP/1.1\r\nHost: a\r\n\r\n")
		if first, _ := client.ReadHead(); !strings.HasPrefix(first, "HTTP/1.1 200 ") {
			t.Fatalf("received %q", first)
		}
		client.ReadRest() // until it is cut
	})
}

// TestClientsThatAreTrustedNoMore: connections end whose client certificate is of an
// authority that was taken away, or was revoked, and no others.
func TestClientsThatAreTrustedNoMore(t *testing.T) {
	t.Parallel()
	ca, old := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
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
		as     *proxytest.Authority // who signed for the one that has to leave
	}{
		{"the authority is taken away", func(t *testing.T, authorities, _ string, _ config.Certificate) {
			if err := os.WriteFile(authorities, pem(ca.File), 0o600); err != nil {
				t.Fatal(err)
			}
		}, old},
		{"the certificate is revoked", func(t *testing.T, _, list string, leaving config.Certificate) {
			proxytest.ReplaceFile(t, ca.Revoke(leaving), list)
		}, ca},
	} {
		t.Run(tt.name, func(t *testing.T) {
			authorities := t.TempDir() + "/authorities.pem"
			if err := os.WriteFile(authorities, pem(ca.File, old.File), 0o600); err != nil {
				t.Fatal(err)
			}
			list := ca.Revoke()
			arrived, answer := make(chan struct{}), make(chan struct{})
			l := proxytest.StartWithViews(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/waits" {
					arrived <- struct{}{}
					<-answer
				}
				fmt.Fprint(w, "hello")
			}), func(s *proxytest.Settings) {
				proxytest.ListenTLS(&s.Listener, ca.Issue("web.test"))
				s.Listener.TLS.ClientAuth, s.Listener.TLS.ClientCA, s.Listener.TLS.CRL = "require", authorities, list
			})
			staying, leaving := ca.Issue("a.test"), tt.as.Issue("b.test")
			shows := ca.ClientConfig("web.test", leaving)
			stays, idle, waits := proxytest.DialTLS(t, l.Ingress(), ca.ClientConfig("web.test", staying)), proxytest.DialTLS(t, l.Ingress(), shows), proxytest.DialTLS(t, l.Ingress(), shows)
			for _, p := range []*proxytest.TLSPeer{stays, idle} {
				p.Send(proxytest.RootRequest)
				p.ReadOK()
			}
			waits.Send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
			<-arrived
			h2 := ca.ClientConfig("web.test", leaving)
			h2.NextProtos = []string{"h2"}
			streams := proxytest.DialHTTP2TLS(t, l.Ingress(), h2)
			if response, _ := streams.ReadResponse(streams.Ask(true, "GET", "/")); response.StatusCode != 200 {
				t.Fatalf("status %d", response.StatusCode)
			}

			tt.change(t, authorities, list, leaving)
			if rest, err := idle.ReadRest(); rest != "" || err != nil {
				t.Errorf("idle: %q, %v", rest, err)
			}
			streams.Until("GOAWAY", func(f http2.Frame) bool {
				_, is := f.(*http2.GoAwayFrame)
				return is
			})
			close(answer)
			response, body := waits.ReadResponse("GET")
			proxytest.Same(t, "in flight: content", body, "hello")
			proxytest.Same(t, "in flight: the connection is to end", response.Close, true)
			stays.Send(proxytest.RootRequest)
			if response, _ := stays.ReadResponse("GET"); response.StatusCode != 200 || response.Close {
				t.Errorf("who is trusted got %d, close %t", response.StatusCode, response.Close)
			}
			if proxytest.HandshakeError(t, l.Ingress(), shows) == nil {
				t.Error("who is not trusted is let in again")
			}
			proxytest.Same(t, "connections that had to end", l.Scrape().Sum("hopscope_downstream_connections_distrusted_total", "listener", "ingress"), 3)
			if !strings.Contains(l.Said.String(), "client certificates are not trusted any more") {
				t.Errorf("the log has no word of it: %s", l.Said)
			}
		})
	}
}

// TestTunnelsOfClientsThatAreTrustedNoMore are cut, in the end.
func TestTunnelsOfClientsThatAreTrustedNoMore(t *testing.T) {
	t.Parallel()
	ca := proxytest.NewAuthority(t)
	list := ca.Revoke()
	target := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.Start(t, target, func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Egress, ca.Issue("web.test"))
		s.Egress.TLS.ClientAuth, s.Egress.TLS.ClientCA, s.Egress.TLS.CRL = "require", ca.File, list
	})
	mine := ca.Issue("a.test")
	client := proxytest.DialTLS(t, rig.Egress(), ca.ClientConfig("web.test", mine))
	client.Send("CONNECT ", target, " HTTP/1.1\r\nHost: a\r\n\r\n")
	if first, _ := client.ReadHead(); !strings.HasPrefix(first, "HTTP/1.1 200 ") {
		t.Fatalf("received %q", first)
	}
	proxytest.ReplaceFile(t, ca.Revoke(mine), list)
	client.ReadRest()
}
