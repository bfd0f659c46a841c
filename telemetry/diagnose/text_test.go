package diagnose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// drawings are the traces of testdata/*.txt. To accept a change, run the test
// with HOPSCOPE_UPDATE=1 and read the difference.
func drawings() map[string][]*hop.Hop {
	retried := refused(out("orders", "payments", 9, 6, 5, 20, 503), "10.0.0.7:80")
	retried.Status, retried.Flags, retried.ProxyError, retried.Failure = 200, 0, "", hop.Failure{}
	retried.Attempts[0].End = 3 * ms
	*retried.Attempt() = hop.Attempt{Span: span(11), Endpoint: "10.0.0.8:80", Status: 200, Start: 5 * ms, Connected: 6 * ms, Sent: 6 * ms, End: 14.5 * 1000 * 1000}

	tried := out("orders", "vault", 7, 6, 3, 37, 503)
	tried.Attempts[0] = hop.Attempt{Span: span(10), Endpoint: "10.0.0.1:80", Cluster: "vault", Start: ms, End: 2 * ms,
		Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_timeout", Reason: "10.0.0.1:80 did not accept a connection within 1ms"}
	*tried.Attempt() = hop.Attempt{Span: span(12), Endpoint: "10.0.0.2:80", Cluster: "vault", Status: 503, Start: 3 * ms, Connected: 3 * ms, End: 30 * ms}

	strange := in("w\x1b[31meb", 1, 0, 0, 12, 502)
	strange.SetString(&strange.Path, "/\x1b]0;title\x07\xff/"+strings.Repeat("long/", 20))
	strange.Method = "_OTHER"
	strange.SetString(&strange.MethodText, "BR\rEW")

	slowRoot := in("web", 1, 0, 0, 1400, 200)

	front := grpc(in("web", 1, 0, 0, 41, 200), 14, "no backend left\x1b[0m")
	front.TLS = &hop.TLS{Version: "1.3"}
	front.Attempts[0].Endpoint = "127.0.0.1:3000"
	middle := grpc(out("web", "orders", 3, 2, 1, 39, 200), 14, "no backend left")
	middle.Attempts[0].TLS = &hop.TLS{Version: "1.3", Peer: "spiffe://mesh/orders", Handshake: 3 * ms / 2}
	back := grpc(in("orders", 5, 4, 2, 38, 200), 14, "no backend left")
	back.TLS = &hop.TLS{Version: "1.3", Peer: "spiffe://mesh/web", Handshake: 3 * ms / 2}
	fine := grpc(in("stock", 9, 6, 5, 9, 200), 5, "no such item") // nobody's failure
	fine.TLS = back.TLS

	return map[string][]*hop.Hop{
		"grpc": {front, middle, back, fine},
		"refused": {
			in("web", 1, 0, 0, 41, 500), in("orders", 3, 2, 1, 39.1, 500),
			refused(in("payments", 5, 4, 36, 37.2, 503), "127.0.0.1:4003"),
		},
		"sidecars": {
			in("web", 1, 0, 0, 41, 500), out("web", "orders", 3, 2, 1, 39.1, 500), in("orders", 5, 4, 2, 38, 500),
			out("orders", "stock", 7, 6, 3, 12, 200), in("stock", 9, 8, 4, 11, 200),
			out("orders", "payments", 11, 6, 13, 37, 503), refused(in("payments", 13, 12, 14, 15, 503), "127.0.0.1:4003"),
		},
		"branches": {
			in("web", 1, 0, 0, 41, 500), out("web", "orders", 3, 2, 1, 39, 500), in("orders", 5, 4, 2, 38, 500),
			tried, in("vault", 15, 12, 6, 20, 503), refused(out("vault", "disk", 17, 16, 7, 19, 503), "10.0.0.3:80"),
			in("ledger", 19, 16, 7, 8, 200),
			out("orders", "stock", 31, 6, 5, 12, 200), in("stock", 33, 32, 6, 11, 200),
			out("web", "stock", 35, 2, 2, 10, 200),
		},
		"retried": {in("web", 1, 0, 0, 41, 200), in("orders", 5, 2, 2, 38, 200), retried, in("payments", 21, 11, 12, 18, 200)},
		"slow":    {slowRoot, in("orders", 3, 2, 1, 1390, 200), out("orders", "stock", 5, 99, 100, 1350, 200), in("stock", 7, 6, 101, 1349, 200)},
		"missing": {in("web", 1, 0, 0, 41, 500), in("payments", 5, 99, 2, 38, 500), in("batch", 7, 98, 90, 95, 200)},
		"strange": {strange},
		"none":    nil,
	}
}

func TestText(t *testing.T) {
	for name, hops := range drawings() {
		t.Run(name, func(t *testing.T) {
			got := Build(traceID, hops).Text()
			path := filepath.Join("testdata", name+".txt")
			if os.Getenv("HOPSCOPE_UPDATE") != "" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, got)
			}
			for _, r := range got {
				if r != '\n' && (r < ' ' || r == 0x7f) {
					t.Errorf("a control character %q is in the text", r)
				}
			}
		})
	}
}

func TestTextWidthAndColor(t *testing.T) {
	trace := Build(traceID, drawings()["sidecars"])
	for _, width := range []int{1, 60, 80, 100, 200} {
		for line := range strings.Lines(string(trace.AppendText(nil, TextOptions{Width: width}))) {
			if n := -1 + utf8.RuneCountInString(line); n > max(width, 80) {
				t.Errorf("width %d: a line of %d columns: %s", width, n, line)
			}
		}
	}
	trace = Build(traceID, drawings()["missing"])
	colored := string(trace.AppendText(nil, TextOptions{Color: true}))
	if !strings.Contains(colored, "\x1b[31m✗ the application") {
		t.Errorf("the culprit is not red:\n%s", colored)
	}
	plain := colored
	for _, tint := range []string{red, green, yellow, dim, bold, "0"} {
		plain = strings.ReplaceAll(plain, "\x1b["+tint+"m", "")
	}
	if diff := cmp.Diff(trace.Text(), plain); diff != "" {
		t.Errorf("colour changed the text:\n%s", diff)
	}
}
