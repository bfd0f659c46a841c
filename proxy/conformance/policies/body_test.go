package policies_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// unknown is content whose length is not told.
func unknown(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

// TestBodyMax: content of more than the route allows is answered with 413, in every
// protocol, whether its length is told or not, and buffered or not.
func TestBodyMax(t *testing.T) {
	const most = 200 << 10 // more than a connection reads at once
	fits, over := strings.Repeat("x", most), strings.Repeat("x", most+1)
	for _, tt := range []struct {
		name   string
		body   func() io.Reader
		fields []string
		buffer bool
		status int
		grpc   string
		flags  string
		tries  string // "-" is not looked at
	}{
		{name: "none", body: func() io.Reader { return nil }, status: 200, tries: "200"},
		{name: "told", body: func() io.Reader { return strings.NewReader(fits) }, status: 200, tries: "200"},
		{name: "told, too much", body: func() io.Reader { return strings.NewReader(over) }, status: 413, flags: "DPE"},
		{name: "not told", body: func() io.Reader { return unknown(fits) }, status: 200, tries: "200"},
		{name: "not told, too much", body: func() io.Reader { return unknown(over) }, status: 413, flags: "DPE", tries: "-"},
		{name: "buffered", body: func() io.Reader { return unknown(fits) }, buffer: true, status: 200, tries: "200"},
		{name: "buffered, too much", body: func() io.Reader { return unknown(over) }, buffer: true, status: 413, flags: "DPE"},
		{name: "call, too much", body: func() io.Reader { return unknown(over) }, fields: call, status: 200, grpc: "8", flags: "DPE", tries: "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Route.Body = &config.Body{Max: "200KiB", Buffer: tt.buffer}
				})
				r, trace := x.NewRequest(proxytest.WithinPatience(t), "POST", tt.body(), tt.fields...)
				response, err := x.HTTP.Do(r)
				if err != nil && tt.status == 413 && !down.HTTP2 {
					// net/http's client may tell of the content that it could not send
					// rather than of the response that came before.
				} else if err != nil {
					t.Fatal(err)
				} else {
					proxytest.Finish(response)
					proxytest.Same(t, "status", response.StatusCode, tt.status)
					proxytest.Same(t, "grpc-status", response.Header.Get("grpc-status"), tt.grpc)
				}
				h := x.Hop(trace)
				proxytest.Same(t, "status of the hop", h.Status, tt.status)
				proxytest.Same(t, "flags", h.Flags.String(), tt.flags)
				if tt.tries != "-" {
					proxytest.Same(t, "attempts", proxytest.Attempts(h), tt.tries)
				}
				for _, g := range p.Requests() {
					if g.Whole && len(g.Body) > most {
						t.Errorf("the endpoint got %d bytes", len(g.Body))
					}
				}
			})
		})
	}
}

// TestBodyMaxBeforeContinue: a client that asks whether its content is wanted is told that
// it is too much, and sends nothing of it.
func TestBodyMaxBeforeContinue(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, buffer := range []bool{false, true} {
		p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
		x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Route.Body = &config.Body{Max: "5", Buffer: buffer} })
		client := x.Dial()
		client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
		response, _ := client.ReadResponse("POST")
		proxytest.Same(t, "status", response.StatusCode, http.StatusRequestEntityTooLarge)
		if buffer { // and one that is not too much is asked for it by the proxy
			other := x.Dial()
			other.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			other.Expect("HTTP/1.1 100 Continue\r\n\r\n")
			other.Send("hello")
			other.ReadOK()
			got := p.Requests()[0]
			proxytest.Same(t, "content", got.Body, "hello")
			proxytest.Same(t, "expect", got.Header.Get("expect"), "")
		}
	}
}

// TestBuffer: no endpoint has a request before its content has come.
func TestBuffer(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Route.Body = &config.Body{Max: "1MiB", Buffer: true} })
		content, rest := io.Pipe()
		r, trace := x.NewRequest(proxytest.WithinPatience(t), "POST", content)
		done := make(chan error, 1)
		go func() {
			response, err := x.HTTP.Do(r)
			if err == nil {
				proxytest.Finish(response)
			}
			done <- err
		}()
		io.WriteString(rest, "hello")
		// The proxy has read that, and the cluster is idle all the same.
		proxytest.Eventually(t, "the request", func() bool { return x.Scrape().Sum("hopscope_downstream_requests_active") == 1 })
		proxytest.Same(t, "requests to the cluster", x.Counts().Requests, 0)
		io.WriteString(rest, " world")
		rest.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		proxytest.Same(t, "content", p.Requests()[0].Body, "hello world")
		proxytest.Same(t, "attempts", proxytest.Attempts(x.Hop(trace)), "200")
	})
}
