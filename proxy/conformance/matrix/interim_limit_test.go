package matrix_test

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestInterimResponsesAreBounded: an endpoint that never comes to its final response
// is cut off, and its client gets 502 with the reason, in every pair of protocols.
func TestInterimResponsesAreBounded(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		for path, hint := range map[string]string{"/many": "", "/large": "</" + strings.Repeat("a", 4000) + ">; rel=preload"} {
			x.handle(path, func(w http.ResponseWriter, r *http.Request) {
				if hint != "" {
					w.Header().Set("Link", hint)
				}
				for range 10_000 {
					if r.Context().Err() != nil {
						return
					}
					w.WriteHeader(http.StatusEarlyHints)
				}
				w.WriteHeader(http.StatusOK)
			})
			count, size := 0, 0
			ctx := httptrace.WithClientTrace(proxytest.WithinPatience(t), &httptrace.ClientTrace{
				Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
					count++
					size += len(h.Get("Link"))
					return nil
				},
			})
			response := x.do(x.request(ctx, "GET", path, nil))
			if response.StatusCode != http.StatusBadGateway || !strings.Contains(response.Header.Get("Proxy-Status"), "http_protocol_error") {
				t.Errorf("%s: status %d, %q", path, response.StatusCode, response.Header.Get("Proxy-Status"))
			}
			if count > 100 || size > 60<<10 {
				t.Errorf("%s: the client was sent %d interim responses of %d bytes", path, count, size)
			}
		}
	})
}

// TestInterimResponsesUpToTheLimit: as many as may be are relayed, and the reason
// names the limit that one more breaks.
func TestInterimResponsesUpToTheLimit(t *testing.T) {
	proxytest.NoLeaks(t)
	const processing, final = "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("a", 1000) + ">\r\n\r\n"
	for _, tt := range []struct {
		name, interim string
		sent, relayed int
		reason        string
	}{
		{"as many as may be", processing, 100, 100, ""},
		{"one more", processing, 101, 100, "sent more than 100 interim responses (1xx) to one request"},
		{"as large as may be", hint, 3, 3, ""},
		{"larger", hint, 4, 3, "sent interim responses (1xx) of more than 4096 bytes to one request (max_header_bytes)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Write([]byte(strings.Repeat(tt.interim, tt.sent) + final))
				p.ReadRest()
			}), func(s *proxytest.Settings) { s.Cluster.MaxHeaderBytes = 4096 })
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
			for range tt.relayed {
				client.Expect(tt.interim)
			}
			response, _ := client.ReadResponse("GET")
			h := rig.Hop(trace)
			if tt.reason == "" && (response.StatusCode != 200 || h.Flags != 0) {
				t.Errorf("status %d, flags %q, %s", response.StatusCode, h.Flags, h.LastAttempt().Reason)
			}
			if tt.reason != "" && (response.StatusCode != 502 || h.Flags.String() != "UPE" || !strings.HasSuffix(h.LastAttempt().Reason, tt.reason)) {
				t.Errorf("status %d, flags %q, reason %q, want 502, UPE, %q", response.StatusCode, h.Flags, h.LastAttempt().Reason, tt.reason)
			}
		})
	}
}
