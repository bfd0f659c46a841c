package matrix_test

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestDate: a final response without a Date gets one, whoever made it (RFC 9110
// section 6.6.1). An endpoint's own is left alone, whatever it says.
func TestDate(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		const undated = "/undated"
		x.handle(undated, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusBadGateway)
		})
		own := []string{"yesterday", "Sun, 06 Nov 1994 08:49:37 GMT"}
		x.handle("/dated", func(w http.ResponseWriter, r *http.Request) { w.Header()["Date"] = own })

		var early textproto.MIMEHeader
		ctx := httptrace.WithClientTrace(proxytest.WithinPatience(t), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, fields textproto.MIMEHeader) error { early = fields; return nil },
		})
		before := time.Now()
		resp := x.do(x.request(ctx, "GET", undated, nil))
		wantNow(t, undated, resp, before)
		if early.Get("Link") == "" || early.Get("Date") != "" {
			t.Errorf("the interim response has %q", early)
		}
		if got := x.do(x.request(proxytest.WithinPatience(t), "GET", "/dated", nil)).Header["Date"]; !slices.Equal(got, own) {
			t.Errorf("the endpoint's Date arrived as %q", got)
		}
	})
}

// TestDateOfReplies: the proxy's own responses have a Date, in every protocol.
func TestDateOfReplies(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		if up.HTTP2 {
			t.Skip("no endpoint is reached")
		}
		x := newCross(t, down, up, func(*cross) string { return proxytest.RefusingAddress(t) })
		before := time.Now()
		resp := x.do(x.request(proxytest.WithinPatience(t), "GET", "/", nil))
		if resp.StatusCode != 503 {
			t.Errorf("status %d", resp.StatusCode)
		}
		wantNow(t, "unreachable", resp, before)
		call := x.request(proxytest.WithinPatience(t), "POST", "/", nil)
		call.Header.Set("Content-Type", "application/grpc")
		resp = x.do(call)
		if resp.Header.Get("Grpc-Status") != "14" {
			t.Errorf("the call ended with %q", resp.Header)
		}
		wantNow(t, "a call", resp, before)
		if !down.HTTP2 {
			wantNow(t, "what is no HTTP", proxytest.Ask(t, x.Ingress(), "GET / HTTP/1.1\r\nno colon\r\n\r\n"), before)
		}
	})
}

// TestDateOfTunnels: CONNECT is answered with a Date, a change of protocols,
// which is interim, without.
func TestDateOfTunnels(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		p.ReadRest()
	}))
	client := rig.Dial()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	first, fields := client.ReadHead()
	if first != "HTTP/1.1 101 Switching Protocols" || proxytest.Field(fields, "date") != "" {
		t.Errorf("got %q %q", first, fields)
	}
	tunnel := proxytest.Dial(t, rig.Egress())
	tunnel.Send("CONNECT ", rig.Ingress(), " HTTP/1.1\r\nHost: a\r\n\r\n")
	if first, fields := tunnel.ReadHead(); proxytest.Field(fields, "date") == "" {
		t.Errorf("got %q %q", first, fields)
	}
}

// TestDateOfTrailersOnly: a call that ended in its head keeps its fields and
// gets a Date beside them.
func TestDateOfTrailersOnly(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		stream, _ := f.ReadRequest()
		f.Answer(stream, true, ":status: 200", "content-type: application/grpc", "grpc-status: 5")
		f.Drain()
	}), func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
	client := proxytest.DialHTTP2(t, rig.Ingress())
	before := time.Now()
	resp, _ := client.ReadResponse(client.Ask(true, http.MethodPost, "/", "content-type: application/grpc"))
	if resp.Header.Get("grpc-status") != "5" {
		t.Errorf("got %q", resp.Header)
	}
	wantNow(t, "trailers-only", resp, before)
	client.WriteGoAway(0, http2.ErrCodeNo, nil)
	client.Close()
}

// wantNow checks that a response has one Date, of a time since then.
func wantNow(t *testing.T, what string, resp *http.Response, since time.Time) {
	t.Helper()
	values := resp.Header.Values("Date")
	if len(values) != 1 {
		t.Errorf("%s: the Date is %q, want one", what, values)
		return
	}
	at, err := http.ParseTime(values[0])
	if err != nil || at.Before(since.Truncate(time.Second)) || at.After(time.Now()) {
		t.Errorf("%s: the Date is %q (%v), want one since %s", what, values[0], err, since)
	}
}
