package headers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var labels = &hop.Labels{Service: "web"}

func ok() *hop.Hop {
	return &hop.Hop{Labels: labels, Status: 200, Attempts: []hop.Attempt{{Endpoint: "127.0.0.1:3000", Status: 200}}}
}

func refused() *hop.Hop {
	const details = "upstream_reset_before_response_started{connection_refused}"
	return &hop.Hop{
		Labels: labels, Status: 503, Flags: hop.UpstreamConnectionFailure,
		ProxyError: "connection_refused", Details: details,
		Failure:  hop.Failure{Origin: hop.OriginProxy, Hop: "payments", Reason: "connection refused by 127.0.0.1:4003"},
		Attempts: []hop.Attempt{{Endpoint: "127.0.0.1:4003", Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused"}},
	}
}

func relayed(by string) *hop.Hop {
	return &hop.Hop{
		Labels: &hop.Labels{Service: by}, Status: 503, Details: "via_upstream",
		Failure:  hop.Failure{Origin: hop.OriginRelayed, Hop: "payments", Reason: "connection refused by 127.0.0.1:4003"},
		Attempts: []hop.Attempt{{Endpoint: "127.0.0.1:3000", Status: 503}},
	}
}

func TestProxyStatusAppend(t *testing.T) {
	notFound := &hop.Hop{Labels: labels, Status: 404, Flags: hop.NoRoute, ProxyError: "destination_not_found", Details: "route_not_found",
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "no route matched GET /x"}}
	odd := refused()
	odd.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "p\u00e4y\"ments", Reason: "a\r\nb\\" + strings.Repeat("x", 600)}
	recovered, outbound, cut := ok(), ok(), refused()
	recovered.Recovered = &hop.Recovered{Failure: whole().Failure, Took: 1612400 * time.Microsecond}
	outbound.Labels, outbound.Recovered = &hop.Labels{Service: "web", Direction: hop.Outbound}, recovered.Recovered
	cut.Recovered = recovered.Recovered
	retried := ok()
	retried.Attempts = append([]hop.Attempt{{Endpoint: "127.0.0.1:2999", Flags: hop.UpstreamReset}}, retried.Attempts...)

	cases := []struct {
		name    string
		service string
		hop     *hop.Hop
		want    string
	}{
		{"nothing failed", "web", ok(), `web`},
		{"nothing failed in the end", "web", retried, `web`},
		{"it went well in spite of a failure", "web", recovered, `web;hopscope-recovered;hopscope-took=1612` +
			`;details="recovered: connection refused by 127.0.0.1:4003";hopscope-failed-hop="bank"` +
			`;hopscope-failed-part=network;hopscope-failed-kind=connect_refused` +
			`;hopscope-failed-caller="payments";hopscope-failed-endpoint="127.0.0.1:4003";hopscope-failed-inferred`},
		{"the response says that already", "web", outbound, `web`},
		{"it failed after all", "payments", cut, `payments;error=connection_refused;next-hop="127.0.0.1:4003"` +
			`;details="UF upstream_reset_before_response_started{connection_refused}: connection refused by 127.0.0.1:4003"` +
			`;hopscope-failed-hop="payments"`},
		{"404 by the application is none of ours", "web", &hop.Hop{Labels: labels, Status: 404, Attempts: []hop.Attempt{{Status: 404}}}, `web`},
		{"name that is no token", "1 web\x7f", ok(), `"1 web?"`},
		{"no name", "", ok(), `""`},
		{"long name", strings.Repeat("w", 200), ok(), `"` + strings.Repeat("w", 125) + `..."`},
		{"made here", "payments", refused(), `payments;error=connection_refused;next-hop="127.0.0.1:4003"` +
			`;details="UF upstream_reset_before_response_started{connection_refused}: connection refused by 127.0.0.1:4003"` +
			`;hopscope-failed-hop="payments"`},
		{"relayed", "web", relayed("web"), `web;received-status=503;next-hop="127.0.0.1:3000"` +
			`;details="via_upstream: connection refused by 127.0.0.1:4003";hopscope-failed-hop="payments"`},
		{"no route", "web", notFound, `web;error=destination_not_found` +
			`;details="NR route_not_found: no route matched GET /x";hopscope-failed-hop="web"`},
		{"every parameter", "web", whole(), `web;received-status=503;next-hop="127.0.0.1:3000"` +
			`;details="via_upstream: connection refused by 127.0.0.1:4003";hopscope-failed-hop="bank"` +
			`;hopscope-failed-part=network;hopscope-failed-kind=connect_refused` +
			`;hopscope-failed-caller="payments";hopscope-failed-endpoint="127.0.0.1:4003";hopscope-failed-inferred`},
		{"failed and nothing known", "web", &hop.Hop{Labels: labels, Status: 500}, `web`},
		{"text that a String can't hold", "web", odd, `web;error=connection_refused;next-hop="127.0.0.1:4003"` +
			`;details="UF upstream_reset_before_response_started{connection_refused}: a??b\\` + strings.Repeat("x", 441) + `..."` +
			`;hopscope-failed-hop="p?y\"ments"`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			got := string(NewProxyStatus(tc.service).Append([]byte("up, "), tc.hop))
			if diff := cmp.Diff("up, "+tc.want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := httpsfv.UnmarshalList([]string{got}); err != nil {
				t.Errorf("%q is no structured field: %v", got, err)
			}
		})
	}
}

// whole returns a hop that relayed a failure of which everything is known.
func whole() *hop.Hop {
	h := relayed("web")
	f := &h.Failure
	f.Hop, f.Part, f.Kind, f.Caller, f.Endpoint = "bank", hop.PartNetwork, "connect_refused", "payments", "127.0.0.1:4003"
	f.Inferred = true
	return h
}

// TestCallerCanTell is the promise of the view: three proxies, one failure,
// and from the response alone it is clear who made it.
func TestCallerCanTell(t *testing.T) {
	var value []byte
	for i, h := range []*hop.Hop{refused(), relayed("orders"), relayed("web")} {
		if i > 0 {
			value = append(value, ", "...)
		}
		value = NewProxyStatus([]string{"payments", "orders", "web"}[i]).Append(value, h)
	}
	members, err := ParseProxyStatus([][]byte{value})
	if err != nil || len(members) != 3 {
		t.Fatal(members, err)
	}
	for i, m := range members {
		if made := m.Error != ""; made != (i == 0) {
			t.Errorf("%s: it made the failure is %t", m.Name, made)
		}
	}
	f, ok := Failure(members)
	if !ok || f.Hop != "payments" || f.Reason != "connection refused by 127.0.0.1:4003" {
		t.Errorf("Failure = %+v, %t", f, ok)
	}
	// A proxy that got only the outer members still knows.
	if f, ok = Failure(members[1:]); !ok || f.Hop != "payments" || f.Reason != "connection refused by 127.0.0.1:4003" {
		t.Errorf("of the relaying ones: Failure = %+v, %t", f, ok)
	}
}

func TestParseProxyStatus(t *testing.T) {
	cases := []struct {
		name   string
		lines  []string
		want   []Member
		err    string
		failed string
		reason string
	}{
		{name: "absent"},
		{name: "empty", lines: []string{""}},
		{name: "two that relayed nothing", lines: []string{"a, b"}, want: []Member{{Name: "a"}, {Name: "b"}}},
		{name: "lines are one list", lines: []string{"a", `"b c"`}, want: []Member{{Name: "a"}, {Name: "b c"}}},
		{name: "Envoy", lines: []string{`envoy; error=connection_timeout; details="upstream_response_timeout; UT"`},
			want:   []Member{{Name: "envoy", Error: "connection_timeout", Details: "upstream_response_timeout; UT"}},
			failed: "envoy", reason: "upstream_response_timeout; UT"},
		{name: "others' parameters", lines: []string{`r34.example.net;fwd=uri-miss;ttl=-3;next-protocol=h2;next-hop=origin.example;received-status=503`},
			want: []Member{{Name: "r34.example.net", NextHop: "origin.example", ReceivedStatus: 503}}},
		{name: "no details", lines: []string{"cdn;error=dns_timeout"}, want: []Member{{Name: "cdn", Error: "dns_timeout"}},
			failed: "cdn", reason: "dns timeout"},
		{name: "parameters of the wrong type", lines: []string{`a;error=5;received-status="x";details=?1;next-hop=:AA==:`}, want: []Member{{Name: "a"}}},
		{name: "status out of range", lines: []string{`a;received-status=99999999`}, want: []Member{{Name: "a"}}},
		{name: "members that are no proxies", lines: []string{`(a b), 5, c`}, want: []Member{{Name: "c"}}},
		{name: "malformed among good ones", lines: []string{`a;error=dns_error;details="x, \"y", b c;=, d`},
			want: []Member{{Name: "a", Error: "dns_error", Details: `x, "y`}, {Name: "d"}},
			err:  `malformed Proxy-Status member "b c;="`, failed: "a", reason: `x, "y`},
		{name: "trailing comma", lines: []string{"a, "}, want: []Member{{Name: "a"}}},
		{name: "open string", lines: []string{`a;details="x`}, err: "malformed"},
		{name: "too many bytes", lines: []string{"a", strings.Repeat("b", MaxProxyStatusBytes)}, err: "too large"},
		{name: "too many members", lines: []string{strings.Repeat("a,", MaxProxyStatusMembers) + "a"}, err: "too large"},
		{name: "nearest to the origin wins", lines: []string{`a;error=dns_error;details="1", b;error=connection_refused;details="2"`},
			want: []Member{{Name: "a", Error: "dns_error", Details: "1"}, {Name: "b", Error: "connection_refused", Details: "2"}}, failed: "a", reason: "1"},
		{name: "failed hop of an application's own call", lines: []string{`orders;received-status=500;hopscope-failed-hop="payments"`},
			want: []Member{{Name: "orders", ReceivedStatus: 500, Failure: hop.Failure{Hop: "payments"}}}, failed: "payments"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var lines [][]byte
			for _, l := range tc.lines {
				lines = append(lines, []byte(l))
			}
			got, err := ParseProxyStatus(lines)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if errors.Is(err, ErrTooLarge) != (tc.err == "too large") {
				t.Errorf("%v is ErrTooLarge: %t", err, errors.Is(err, ErrTooLarge))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			f, ok := Failure(got)
			if f.Hop != tc.failed || f.Reason != tc.reason || ok != (tc.failed != "") {
				t.Errorf("Failure = %+v, %t; want %q, %q", f, ok, tc.failed, tc.reason)
			}
		})
	}
}

func FuzzParseProxyStatus(f *testing.F) {
	f.Add([]byte(`a;error=dns_error;details="x, \"y", b c;=, d`), []byte("web"), "payments")
	f.Add(NewProxyStatus("web").Append(nil, refused()), []byte(`(a b), 5`), "ü")
	f.Fuzz(func(t *testing.T, one, two []byte, name string) {
		members, _ := ParseProxyStatus([][]byte{one, two})
		h := relayed(name)
		h.Failure, _ = Failure(members)
		out := NewProxyStatus(name).Append(nil, h)
		back, err := ParseProxyStatus([][]byte{out})
		if err != nil || len(back) != 1 {
			t.Fatalf("%q: %v, %v", out, back, err)
		}
		want := h.Failure
		want.Origin, want.Reason = hop.OriginNone, ""
		for _, s := range []*string{&want.Hop, &want.Caller, &want.Endpoint} {
			*s = ascii(*s, maxName)
		}
		if back[0].Failure != want {
			t.Fatalf("%+v went out as %+v", h.Failure, back[0].Failure)
		}
	})
}

func TestServerTiming(t *testing.T) {
	cases := []struct {
		labels hop.Labels
		now    time.Duration
		want   string
	}{
		{hop.Labels{Service: "web"}, 12300 * time.Microsecond, "web;dur=12.3;desc=inbound"},
		{hop.Labels{Service: "web", Direction: hop.Outbound}, 5 * time.Second, "web;dur=5000;desc=outbound"},
		{hop.Labels{Service: "web"}, 7 * time.Microsecond, "web;dur=0.007;desc=inbound"},
		{hop.Labels{Service: "web"}, 1050 * time.Microsecond, "web;dur=1.05;desc=inbound"},
		{hop.Labels{Service: "web"}, 0, "web;dur=0;desc=inbound"},
		{hop.Labels{Service: "web"}, -1, "web;dur=0;desc=inbound"},
		{hop.Labels{Service: `my "web", ü;`}, 0, "my__web______;dur=0;desc=inbound"},
		{hop.Labels{}, 0, "hop;dur=0;desc=inbound"},
	}
	for _, tc := range cases {
		got := string(AppendServerTiming([]byte("db;dur=1, "), &hop.Hop{Labels: &tc.labels}, tc.now))
		if got != "db;dur=1, "+tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	p, h, buf := NewProxyStatus("web"), ok(), make([]byte, 0, 128)
	n := testing.AllocsPerRun(100, func() {
		buf = p.Append(buf[:0], h)
		buf = AppendServerTiming(buf, h, 12345*time.Microsecond)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	p, buf := NewProxyStatus("web"), make([]byte, 0, 512)
	for name, h := range map[string]*hop.Hop{"ok": ok(), "failed": refused()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = p.Append(buf[:0], h)
			}
		})
	}
}

// TestRecoveredFrom: a failure that did not fail the request comes back as it was, is no
// failure, and must not hide one.
func TestRecoveredFrom(t *testing.T) {
	h := ok()
	h.Recovered = &hop.Recovered{Failure: whole().Failure, Took: 1612 * time.Millisecond}
	h.Recovered.Reason = "it did not answer: 1: 2"
	members, err := ParseProxyStatus([][]byte{NewProxyStatus("web").Append(nil, h), []byte("edge")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.Recovered, RecoveredFrom(members)); diff != "" {
		t.Error(diff)
	}
	if f, failed := Failure(members); failed {
		t.Errorf("it says that %+v failed the request", f)
	}
	members, _ = ParseProxyStatus([][]byte{NewProxyStatus("web").Append(nil, h), NewProxyStatus("payments").Append(nil, refused())})
	if f, _ := Failure(members); f.Hop != "payments" {
		t.Errorf("%+v failed the request", f)
	}
	for _, line := range []string{
		`web`, `web;hopscope-recovered`, `web;hopscope-failed-hop="bank"`, `web;hopscope-recovered=?0;hopscope-failed-hop="bank"`,
	} {
		members, _ := ParseProxyStatus([][]byte{[]byte(line)})
		if r := RecoveredFrom(members); r != nil {
			t.Errorf("%s: %+v", line, r)
		}
	}
	for _, took := range []string{"-1", "86400001", "999999999999999", "1.5", `"1"`} {
		members, _ := ParseProxyStatus([][]byte{[]byte(`web;hopscope-recovered;hopscope-failed-hop="bank";hopscope-took=` + took)})
		if r := RecoveredFrom(members); r == nil || r.Took != 0 {
			t.Errorf("%s ms: %+v", took, r)
		}
	}
}
