package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// measured is a small result: two variants, two cells, and a target of each kind.
func measured() result {
	samples := []sample{
		cpu(1, haproxyPlain, small, 20), cpu(1, hopscopeFull, small, 18),
		cpu(1, haproxyPlain, large, 20), cpu(1, hopscopeFull, large, 20.1),
	}
	cells := []cell{small, large}
	r := result{
		Measured: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Machine: machine{CPU: "Fast | One", Cores: 2, Virtual: true, MemoryBytes: 3 << 30, System: "Linux 6.1 amd64",
			LoadAverage: "0.10 0.20 0.30", OthersPercent: 1.25, StolenPercent: 0.5,
			Versions: []version{{"haproxy", "HAProxy version 2.6.12"}}},
		Method: method{Rounds: 1, DurationSeconds: 4, WarmupSeconds: 1, Pinned: true, ProxyCore: 1, LoadCore: 0, Notes: []string{"a note."}},
		Rows:   summarise(samples, cells, []string{haproxyPlain, hopscopeFull}),
		Views:  []delivery{newDelivery(hopscopeFull, "spans (OTLP gRPC)", 10, 1000, 0.02, 0.9)},
		Idle:   &idle{Variant: hopscopeFull, Connections: 1000, BeforeBytes: 10 << 20, AfterBytes: 15 << 20, PerConnection: 5242.88, Settled: true},
		Memory: newMemory(variant{name: hopscopeOne, endpoints: 1001}, 20<<20, 20<<20+2_500_000, true),
		Discovery: &discovery{Variant: "hopscope-consul", Consul: "1.20.0",
			Registered:   newDelays([]time.Duration{3 * time.Millisecond, 1500 * time.Microsecond, 2 * time.Millisecond}),
			Deregistered: newDelays([]time.Duration{0, 70 * time.Millisecond, time.Millisecond})},
		Samples: samples,
	}
	r.Targets = judge(samples, cells, r.Idle)
	return r
}

func TestMarkdown(t *testing.T) {
	text := markdown(measured())
	for _, want := range []string{
		"Measured 2026-03-04 05:06 UTC.",
		`| CPU | Fast \| One |`,
		"| cores | 2 (virtual machine) |",
		"| memory | 3.0 GiB |",
		"| CPU time that processes outside the benchmark used meanwhile | 1.2 % of all cores |",
		"| haproxy | HAProxy version 2.6.12 |",
		"alone on core 1 with one worker thread",
		"**Note:** a note.",
		"## 32 connections, 98-byte answers\n",
		"## 256 connections, 10 KiB answers\n",
		"| hopscope-full | 18.00 (18.00 to 18.00) | 0.900 |",
		"| hopscope-full | 20.10 (20.10 to 20.10) | 1.005 |",
		"| hopscope-full | spans (OTLP gRPC) | 1000 | 0.0100 | 0.02 | **undelivered",
		"**5243 bytes** of resident memory a connection (10.0 MiB before them, 15.0 MiB with them)",
		"`hopscope-one`, freshly started with 1 endpoint and with 1001: **2500 bytes** of resident memory an endpoint (20.0 MiB with one of them, 22.4 MiB with all). Read once",
		"`hopscope-consul` follows a service of a Consul agent (1.20.0)",
		"| an instance is registered | 3 | its first response | 2.0 | 3.0 |",
		"| an instance is deregistered | 3 | its last response | 1.0 | 70.0 |",
		"| CPU a request, hopscope-full / haproxy-plain | 32 connections, 98-byte answers | 1.000 | 0.900 | met |",
		"| CPU a request, hopscope-full / haproxy-plain | 256 connections, 10 KiB answers | 1.000 | 1.005 | missed |",
		"| resident bytes an idle connection, hopscope-full | 1000 connections | 8192 | 5243 | met |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("\n%s", text)
	}
}

// A table that a renderer would not take for one has rows of unequal width.
func TestMarkdownTablesAreWhole(t *testing.T) {
	columns := 0
	for i, line := range strings.Split(markdown(measured()), "\n") {
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if n > 0 && columns > 0 && n != columns {
			t.Errorf("line %d has %d bars, the one before %d: %s", i+1, n, columns, line)
		}
		columns = n
	}
}

func TestMarkdownSaysWhatWasNotDone(t *testing.T) {
	r := measured()
	r.Method.Pinned = false
	r.Idle.Settled = false
	r.Memory.Settled = false
	for i := range r.Rows {
		r.Rows[i].Ratio = nil
	}
	text := markdown(r)
	for _, want := range []string{"Nothing is pinned", "did not settle in 1m0s", "| hopscope-full | 18.00 (18.00 to 18.00) | - |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "did not settle"); n != 2 {
		t.Errorf("%d of the 2 figures that did not settle say so", n)
	}
	empty := markdown(result{Idle: r.Idle})
	if strings.Contains(empty, "## How") || strings.Contains(empty, "## Targets") || strings.Contains(empty, "## Endpoints") || strings.Contains(empty, "## Changes") {
		t.Errorf("the report speaks of loads that were not put:\n%s", empty)
	}
}

func TestSavedJSONIsTheResult(t *testing.T) {
	want := measured()
	paths, err := save(t.TempDir()+"/new", want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	var got result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{}, sample{})); diff != "" {
		t.Error(diff)
	}
	if !bytes.Contains(text, []byte(`"connections": 32`)) {
		t.Errorf("a row does not name its load:\n%s", text)
	}
}

func TestDisturbance(t *testing.T) {
	if notes := disturbance(machine{OthersPercent: 3, StolenPercent: 1}); notes != nil {
		t.Errorf("a quiet run is called disturbed: %v", notes)
	}
	notes := disturbance(machine{OthersPercent: 3, StolenPercent: 4})
	if len(notes) != 1 || !strings.Contains(notes[0], "7.0 %") {
		t.Errorf("a disturbed run is noted as %q", notes)
	}
}

func TestJudge(t *testing.T) {
	kept := cell{Group: groupTLS, Connections: 32, BodyBytes: 98}
	handshakes := cell{Group: groupTLS, Connections: 32, BodyBytes: 98, Fresh: true}
	scale := cell{Group: groupScale, Connections: 32, BodyBytes: 98}
	churn := cell{Group: groupChurn, Connections: 32, BodyBytes: 98, Fresh: true}
	samples := []sample{
		cpu(1, haproxyPlain, small, 10), cpu(1, haproxyDressed, small, 16),
		cpu(1, hopscopeFull, small, 12), cpu(1, hopscopeTraces, small, 12.5), cpu(1, hopscopeOff, small, 9.3),
		cpu(1, haproxyTLS, kept, 20), cpu(1, hopscopeTLS, kept, 20),
		cpu(1, hopscopeOne, scale, 20), cpu(1, hopscopeMany, scale, 23),
		cpu(1, haproxyChurn, churn, 40), cpu(1, hopscopeChurn, churn, 42),
		cpu(1, haproxyTLS, handshakes, 400), cpu(1, hopscopeTLS, handshakes, 800),
	}
	got := judge(samples, []cell{small, large, kept, handshakes, churn, scale}, &idle{Variant: hopscopeFull, Connections: 10, PerConnection: 8193})
	at := small.String()
	want := []verdict{
		{"CPU a request, hopscope-full / haproxy-plain", at, 1.00, 1.2, false},
		{"CPU a request, hopscope-full / haproxy-dressed", at, 0.75, 0.75, true},
		{"CPU a request, hopscope-traces-100 / haproxy-plain", at, 1.25, 1.25, true},
		{"CPU a request, hopscope-off / haproxy-plain", at, 0.92, 0.93, false},
		{"CPU a request, hopscope-tls / haproxy-tls", kept.String(), 1.10, 1.0, true},
		{"CPU a request, hopscope-churn / haproxy-churn", churn.String(), 1.10, 1.05, true},
		{"CPU a request, hopscope-many / hopscope-one", scale.String(), 1.10, 1.15, false},
		{"resident bytes an idle connection, hopscope-full", "10 connections", 8192, 8193, false},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(near)); diff != "" {
		t.Error(diff)
	}
	r := result{Targets: got, Views: []delivery{{Undelivered: true}, {}}}
	if n := shortfalls(r); n != 5 {
		t.Errorf("shortfalls = %d, want 4 targets and 1 view", n)
	}
	if none := judge(nil, []cell{small}, nil); none != nil {
		t.Errorf("judged what was not measured: %v", none)
	}
}

func TestCellText(t *testing.T) {
	for _, tc := range []struct {
		c    cell
		want string
	}{
		{small, "32 connections, 98-byte answers"},
		{cell{Group: groupH2, Connections: 16, Streams: 10, BodyBytes: 98}, "HTTP/2 to HTTP/1.1, 16 connections of 10 streams, 98-byte answers"},
		{cell{Group: groupTLS, Connections: 32, BodyBytes: 98, Fresh: true}, "TLS 1.3 to HTTP/1.1, 32 connections, a handshake each request, 98-byte answers"},
		{cell{Group: groupLarge, Connections: 8, BodyBytes: 1 << 20}, "8 connections, 1024 KiB answers"},
		{cell{Group: groupChurn, Connections: 32, BodyBytes: 98, Fresh: true}, "32 connections, a connection each request, 98-byte answers"},
		{cell{Group: groupScale, Connections: 32, BodyBytes: 98}, "one or 1000 endpoints and routes, 32 connections, 98-byte answers"},
	} {
		if got := tc.c.String(); got != tc.want {
			t.Errorf("%+v is called %q, want %q", tc.c, got, tc.want)
		}
	}
	if got := latencyText(0) + latencyText(1500); got != "-1.50" {
		t.Errorf("no latency and 1.5 ms print as %q", got)
	}
}

func TestWriteTargets(t *testing.T) {
	var b strings.Builder
	if err := writeTargets(&b, measured().Targets); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want a head and 3 verdicts:\n%s", len(lines), b.String())
	}
	for i, want := range []string{"MEASURED", "0.900  met", "1.005  missed", "5243  "} {
		if !strings.Contains(strings.Join(strings.Fields(lines[i]), "  "), strings.TrimSpace(want)) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
		}
	}
}
