package policies_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// compressed is text in a content coding.
func compressed(t *testing.T, coding, text string) string {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	switch coding {
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDecompress: the endpoint gets what a request's content is without its coding, in every
// protocol; what can't be, or must not be, decompressed is refused or left as it is.
func TestDecompress(t *testing.T) {
	text := strings.Repeat("some content ", 10_000)
	zipped := compressed(t, "gzip", text)
	gzipOnly := &config.Decompress{Algorithms: []string{"gzip"}, Max: "1MiB"}
	all := config.NewDecompress()
	for _, tt := range []struct {
		name       string
		decompress *config.Decompress
		sent       string
		coding     string
		fields     []string
		got        string // by the endpoint; "" where it is not asked
		left       string // of the coding
		status     int
		reason     string
	}{
		{name: "gzip", decompress: all, sent: zipped, coding: "gzip", got: text, status: 200},
		{name: "another name of gzip", decompress: all, sent: zipped, coding: "X-GZIP", got: text, status: 200},
		{name: "br", decompress: all, sent: compressed(t, "br", text), coding: "br", got: text, status: 200},
		{name: "zstd", decompress: all, sent: compressed(t, "zstd", text), coding: "zstd", got: text, status: 200},
		{name: "short", decompress: all, sent: compressed(t, "gzip", "a"), coding: "gzip", got: "a", status: 200},
		{name: "of two parts", decompress: all, sent: compressed(t, "gzip", "a") + compressed(t, "gzip", "b"), coding: "gzip", got: "ab", status: 200},
		{name: "without a coding", decompress: all, sent: text, got: text, status: 200},
		{name: "not listed", decompress: gzipOnly, sent: "as it is", coding: "br", got: "as it is", left: "br", status: 200},
		{name: "two codings", decompress: all, sent: "as it is", coding: "gzip, br", got: "as it is", left: "gzip, br", status: 200},
		{name: "a part", decompress: all, sent: "as it is", coding: "gzip", fields: []string{"content-range: bytes 0-7/90"}, got: "as it is", left: "gzip", status: 200},
		{name: "a call", decompress: all, sent: zipped, coding: "gzip", fields: call, got: zipped, left: "gzip", status: 200},
		{name: "too large", decompress: &config.Decompress{Algorithms: []string{"gzip"}, Max: "64KiB"}, sent: zipped, coding: "gzip", status: 413, reason: "larger than the 65536 bytes"},
		{name: "no gzip", decompress: all, sent: text, coding: "gzip", status: 400, reason: "not what its content-encoding says (gzip)"},
		{name: "cut", decompress: all, sent: zipped[:len(zipped)-20], coding: "gzip", status: 400, reason: "not what its content-encoding says (gzip)"},
		{name: "more behind it", decompress: all, sent: compressed(t, "br", text) + "more", coding: "br", status: 400, reason: "not what its content-encoding says (br)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200, "grpc-status: 0"))
				x := p.Start(down, up, func(s *proxytest.Settings) { s.Route.Decompress = tt.decompress })
				for _, told := range []bool{true, false} { // its length
					var body io.Reader = strings.NewReader(tt.sent)
					if !told {
						body = io.MultiReader(body)
					}
					fields := append([]string{"content-digest: sha-256=:AA==:"}, tt.fields...)
					if tt.coding != "" {
						fields = append([]string{"content-encoding: " + tt.coding}, fields...)
					}
					before := len(p.Requests())
					o := x.Ask("POST", body, fields...)
					proxytest.Same(t, "status", o.StatusCode, tt.status)
					if tt.status != 200 {
						proxytest.Reason(t, "reason", o.Hop.Failure.Reason, tt.reason)
						continue
					}
					got := p.Requests()[before]
					if got.Body != tt.got {
						t.Errorf("the endpoint got %d bytes, want %d", len(got.Body), len(tt.got))
					}
					proxytest.Same(t, "its coding", got.Header.Get("content-encoding"), tt.left)
					proxytest.Same(t, "it has a digest", got.Header.Get("content-digest") != "", tt.coding == tt.left)
				}
			})
		})
	}
}

// TestDecompressAgain: a request is sent again, as all of it could be kept.
func TestDecompressAgain(t *testing.T) {
	text := strings.Repeat("some content ", 1000)
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(503), proxytest.Respond(200))
		x := p.Start(down, up, func(s *proxytest.Settings) {
			s.Route.Decompress = config.NewDecompress()
			s.Cluster.Retry = proxytest.Retrying(2, "5xx")
			s.Cluster.Retry.MaxBody = 1 << 20
		})
		x.Ask("POST", strings.NewReader(compressed(t, "gzip", text)), "content-encoding: gzip").Want(t, 200, "", "503 200")
		for _, got := range p.Requests() {
			proxytest.Same(t, "content", got.Body, text)
		}
	})
}
