package policies_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

func compressing(s *proxytest.Settings) {
	s.Route.Compress = &config.Compress{Algorithms: []string{"zstd", "br", "gzip"}, MinBytes: 100, Types: []string{"text/*", "application/json"}}
}

// reader decompresses.
func reader(t *testing.T, coding string, r io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return z
	case "br":
		return brotli.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(z.Close)
		return z
	}
	return r
}

// TestCompress: responses are compressed by what the client accepts, in every protocol, and
// what is not to be compressed passes.
func TestCompress(t *testing.T) {
	long := strings.Repeat("all work and no play ", 10_000)
	text := func(fields ...string) proxytest.Act {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", strconv.Itoa(len(long)))
			w.Header().Set("ETag", `"a"`)
			for _, f := range fields {
				name, value, _ := strings.Cut(f, ": ")
				w.Header().Set(name, value)
			}
			io.WriteString(w, long)
		}
	}
	for _, tt := range []struct {
		name, method, accepts, coding string
		act                           proxytest.Act
		etag, vary                    string
	}{
		{name: "zstd", method: "GET", accepts: "gzip, br, zstd", coding: "zstd", act: text(), etag: `W/"a"`, vary: "accept-encoding"},
		{name: "br", method: "GET", accepts: "gzip;q=0.5, br", coding: "br", act: text(), etag: `W/"a"`, vary: "accept-encoding"},
		{name: "gzip", method: "POST", accepts: "gzip", coding: "gzip", act: text(), etag: `W/"a"`, vary: "accept-encoding"},
		{name: "nothing that is known", method: "GET", accepts: "deflate", act: text(), etag: `"a"`, vary: "accept-encoding"},
		{name: "HEAD", method: "HEAD", accepts: "gzip", act: text(), etag: `"a"`, vary: "accept-encoding"},
		{name: "no-transform", method: "GET", accepts: "gzip", act: text("Cache-Control: no-transform"), etag: `"a"`},
		{name: "another type", method: "GET", accepts: "gzip", act: text("Content-Type: image/png"), etag: `"a"`},
		{name: "short", method: "GET", accepts: "gzip", act: proxytest.Respond(200, "Content-Type: text/plain", "ETag: \"a\"", "Content-Length: 10"), etag: `"a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, tt.act)
				x := p.Start(down, up, compressing)
				r, trace := x.NewRequest(proxytest.WithinPatience(t), tt.method, nil, "accept-encoding: "+tt.accepts)
				response, err := x.HTTP.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				proxytest.Same(t, "content-encoding", response.Header.Get("Content-Encoding"), tt.coding)
				proxytest.Same(t, "etag", response.Header.Get("ETag"), tt.etag)
				proxytest.Same(t, "vary", response.Header.Get("Vary"), tt.vary)
				got, err := io.ReadAll(reader(t, tt.coding, response.Body))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				h := x.Hop(trace)
				switch {
				case tt.method == "HEAD":
					proxytest.Same(t, "content-length", response.ContentLength, int64(len(long)))
				case tt.name == "short":
					proxytest.Same(t, "content", string(got), "as planned")
				default:
					proxytest.Same(t, "content", string(got) == long, true)
					proxytest.Same(t, "bytes of the endpoint", h.LastAttempt().BytesReceived, int64(len(long)))
					proxytest.Same(t, "fewer bytes to the client", h.BytesOut < int64(len(long))/10, tt.coding != "")
				}
				proxytest.Same(t, "flags", h.Flags.String(), "")
			})
		})
	}
}

// TestCompressedEvents: each event of a stream arrives when it is sent.
func TestCompressedEvents(t *testing.T) {
	for _, coding := range []string{"zstd", "br", "gzip"} {
		t.Run(coding, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				next := make(chan string)
				p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					for event := range next {
						io.WriteString(w, event)
						w.(http.Flusher).Flush()
					}
				})
				x := p.Start(down, up, compressing)
				r, _ := x.NewRequest(proxytest.WithinPatience(t), "GET", nil, "accept-encoding: "+coding)
				go func() { next <- "data: 0\n\n" }()
				response, err := x.HTTP.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				proxytest.Same(t, "content-encoding", response.Header.Get("Content-Encoding"), coding)
				events := reader(t, coding, response.Body)
				for n := range 5 {
					if n > 0 {
						next <- "data: " + strconv.Itoa(n) + "\n\n"
					}
					event := make([]byte, len("data: 0\n\n"))
					if _, err := io.ReadFull(events, event); err != nil || string(event) != "data: "+strconv.Itoa(n)+"\n\n" {
						t.Fatalf("event %d is %q (%v)", n, event, err)
					}
				}
				close(next)
				if rest, err := io.ReadAll(events); len(rest) > 0 || err != nil {
					t.Errorf("the end is %q (%v)", rest, err)
				}
				proxytest.Finish(response)
			})
		})
	}
}

// TestCompressLeavesCallsAlone: gRPC has a compression of its own.
func TestCompressLeavesCallsAlone(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0"))
	x := p.Start(proxytest.H2C, proxytest.H2C, compressing)
	o := x.Ask("POST", nil, append([]string{"accept-encoding: gzip"}, call...)...)
	o.Want(t, 200, "", "200")
	proxytest.Same(t, "content-encoding", o.Header.Get("Content-Encoding"), "")
	proxytest.Same(t, "vary", o.Header.Get("Vary"), "")
}

// TestCompressedResponseBreaksOff: a client can tell that a compressed response is not
// whole.
func TestCompressedResponseBreaksOff(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		x := p.Start(down, up, compressing)
		r, trace := x.NewRequest(context.Background(), "GET", nil, "accept-encoding: gzip")
		response, err := x.HTTP.Do(r)
		if err == nil {
			if response.StatusCode == 200 { // else it broke off before anything was sent
				if text, err := io.ReadAll(response.Body); err == nil {
					t.Errorf("%q seems whole", text)
				}
			}
			response.Body.Close()
		}
		if h := x.Hop(trace); h.Failure.Origin == 0 {
			t.Errorf("the hop is %d %q", h.Status, h.Flags)
		}
	})
}
