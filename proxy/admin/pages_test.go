package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// TestPages reads the pages as a browser would: nothing that came from a
// request is markup, and the policy admits the style that is there.
func TestPages(t *testing.T) {
	f := newFixture(t, nil)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/paths", []string{
			"<h1>web</h1>", "hopscope 1.2.3", `href="/traces/` + failedTrace + `"`, `href="/traces/` + slowTrace + `"`,
			"<b>payments → bank</b>", "connection refused (UF)", "<b>recommendations</b>",
			"/config_dump", "/debug/pprof/", "POST", "&lt;script&gt;",
		}},
		{"/traces/" + failedTrace, []string{
			"payments → bank: connection refused (UF)", "the connection to the endpoint could not be made",
			"2 hops", "try 127.0.0.1:4002", "try 127.0.0.1:4003", "payments → bank", "CHARGE /charge", "&lt;script&gt;", "<rect ",
		}},
		{"/traces/" + slowTrace, []string{"recommendations: 1.50 s in", "1 hop ", "1.50 s"}},
	} {
		got := f.do("GET", c.path, "Accept: text/html,*/*")
		if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Fatalf("%s: %v", c.path, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s: no %q in\n%s", c.path, want, got.body)
			}
		}
		for _, never := range []string{"<script", "style=", "http-equiv", "ZgotmplZ", "src="} {
			if strings.Contains(got.body, never) {
				t.Errorf("%s: %q in\n%s", c.path, never, got.body)
			}
		}
		css := style.FindStringSubmatch(got.body)
		if css == nil {
			t.Fatalf("%s: no style", c.path)
		}
		sum := sha256.Sum256([]byte(css[1]))
		policy := got.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy %q does not fit the style", c.path, policy)
		}
	}
}

// TestFlagsAreExplained: where a page shows a flag, it says what usually causes it.
func TestFlagsAreExplained(t *testing.T) {
	f := newFixture(t, nil)
	const words = "UF: usual causes: Nothing listens at the address"
	for path, want := range map[string]string{
		"/paths":                 `<td class="why" title="` + words,
		"/traces/" + failedTrace: `<dd title="` + words,
	} {
		if got := f.do("GET", path, "Accept: text/html"); !strings.Contains(got.body, want) {
			t.Errorf("%s: no %q in\n%s", path, want, got.body)
		}
	}
	if got := f.do("GET", "/traces/"+failedTrace, "Accept: text/html"); !strings.Contains(got.body, "<p>"+words) {
		t.Errorf("the verdict has no causes:\n%s", got.body)
	}
}

// TestInnerFailure: a page tells a failure that did not fail the request from one that did.
func TestInnerFailure(t *testing.T) {
	hops := failingHops(time.Now())
	web := hops[1]
	web.Status, web.Attempts[0].Status, web.Failure = 200, 200, hop.Failure{}
	p := newTracePage("web", diagnose.Build(trace(failedTrace), hops), hops, 0, "")
	notes := strings.Join(p.Notes, "\n")
	if p.Class != "" || p.Title != "Nothing failed the request" ||
		!strings.Contains(notes, "Did not fail the request: payments → bank: connection refused") {
		t.Errorf("class %q, title %q, notes %s", p.Class, p.Title, notes)
	}
}

// TestGroupedByCulprit: the page has a line for each culprit, with how often it was that
// and the latest trace; a gRPC call shows its method and its status.
func TestGroupedByCulprit(t *testing.T) {
	s := store.New(1 << 20)
	cart := &hop.Labels{Service: "cart", Cluster: "app"}
	for i := range 20 {
		h := &hop.Hop{
			Labels: cart, Trace: hop.TraceID{byte(i + 1)}, Span: hop.SpanID{1}, Start: time.Now().Add(time.Duration(i-20) * time.Second),
			End: 1, Method: "POST", Status: 200, GRPC: true, GRPCStatus: hop.GRPCStatusOf(14),
			Failure: hop.Failure{
				Origin: hop.OriginEndpoint, Hop: "cart", Part: hop.PartApplication, Kind: diagnose.ErrorResponse,
				Reason: fmt.Sprintf("its application at 127.0.0.1:%d answered UNAVAILABLE", 4000+i),
			},
		}
		h.SetString(&h.Path, "/shop.Cart/Add")
		if i == 7 {
			h.Failure.Hop, h.Failure.Caller, h.Failure.Kind = "redis", "cart", "connect_refused"
			h.Failure.Origin = hop.OriginRelayed
		}
		s.Observe(h)
	}
	f := newFixture(t, func(o *Options) { o.Trace, o.Traces = s.Trace, s.Traces })
	page := f.do("GET", "/paths", "Accept: text/html").body
	for _, want := range []string{
		`<td class="num">19</td>`, `<td class="num">1</td>`, `<td class="num bad">UNAVAILABLE</td>`, "cart shop.Cart/Add",
		`/traces/` + hop.TraceID{20}.String(), `/traces/` + hop.TraceID{8}.String(), "<b>cart → redis</b>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if n := strings.Count(page, `href="/traces/`); n != 2 {
		t.Errorf("%d lines, want one for each culprit", n)
	}
}

// TestDeepTrace is a trace that went around a thousand times.
func TestDeepTrace(t *testing.T) {
	var hops []*hop.Hop
	for i := range uint16(1000) {
		h := &hop.Hop{Labels: &hop.Labels{Service: fmt.Sprintf("s%d", i)}, Trace: trace(failedTrace), Method: "GET",
			Status: 200, End: time.Second, Span: hop.SpanID{1, byte(i >> 8), byte(i)}}
		if i > 0 {
			h.Parent = hops[i-1].Span
		}
		hops = append(hops, h)
	}
	p := newTracePage("web", diagnose.Build(trace(failedTrace), hops), hops, 0, "")
	if len(p.Rows) != maxRows || len(p.Rows[maxRows-1].Indent) != maxIndent {
		t.Errorf("%d rows, the last of them %d deep", len(p.Rows), len(p.Rows[len(p.Rows)-1].Indent))
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 µs", 85 * time.Microsecond: "85 µs", 1234 * time.Microsecond: "1.2 ms",
		250 * time.Millisecond: "250 ms", 1504 * time.Millisecond: "1.50 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("failed=1&slow=0&service=web&route=r&since=10m&limit=20")
	f.Add("since=2026-01-02T15:04:05Z&limit=-1")
	now := time.Unix(1_000_000, 0)
	f.Fuzz(func(t *testing.T, s string) {
		form, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		q, err := parseQuery(form, now)
		if err != nil {
			return
		}
		if q.Limit < 0 || q.Limit > maxTraces || form.Has("limit") != (q.Limit != 0) {
			t.Errorf("%q: limit %d", s, q.Limit)
		}
	})
}

func FuzzParseTrace(f *testing.F) {
	f.Add(failedTrace)
	f.Add("0123456789ABCDEF")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseTrace(s)
		if ok == id.IsZero() {
			t.Errorf("%q: %v, %v", s, id, ok)
		}
		if ok && !strings.HasSuffix(id.String(), strings.ToLower(s)) {
			t.Errorf("%q became %v", s, id)
		}
	})
}

// TestBrowsersAreLedToTheConsole: also where a token is wanted. Programs have the list of
// paths at "/" as before.
func TestBrowsersAreLedToTheConsole(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Access = &Access{Read: []*mesh.Tokens{tokens(t, readToken)}, Refused: func(string) {}}
	})
	const browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	if got := f.do("GET", "/", browser); got.status != 303 || got.header.Get("Location") != "console/" {
		t.Errorf("/: %v", got)
	}
	page := f.do("GET", "/console/", browser)
	if page.status != 200 || !strings.Contains(page.body, "<title>hopscope") || !strings.Contains(page.header.Get("Content-Security-Policy"), "script-src 'self';") {
		t.Errorf("/console/: %v", page)
	}
	if got := f.do("GET", "/console/nothing"); got.status != 404 {
		t.Errorf("/console/nothing: %v", got)
	}
	for _, path := range []string{"/", "/paths"} {
		if got := f.do("GET", path); got.status != 401 {
			t.Errorf("%s without a token: %v", path, got)
		}
	}
	f = newFixture(t, nil)
	for path, accept := range map[string]string{"/": "Accept: */*", "/paths": browser} {
		if got := f.do("GET", path, accept); got.status != 200 || !strings.Contains(got.body, "/config_dump") {
			t.Errorf("%s: %v", path, got)
		}
	}
}
