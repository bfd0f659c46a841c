package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const h2loadOutput = `starting benchmark...
spawning thread #0: 16 total client(s). Timing-based test with 0s of warm-up time and 2s of main duration for measurements.
Warm-up started for thread #0.
Application protocol: h2c

finished in 2.00s, 11964.00 req/s, 3.18MB/s
requests: 23928 total, 24088 started, 23928 done, 23928 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 23929 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 3.18MB (3335984) total, 327.34KB (335196) headers (space savings 93.69%), 2.24MB (2346918) data
                     min         max         mean         sd        +/- sd
time for request:     1.72ms     31.58ms      6.66ms      2.23ms    83.65%
`

func TestParseH2load(t *testing.T) {
	got, err := parseH2load(h2loadOutput)
	want := load{requests: 23928, elapsed: 2 * time.Second}
	if err != nil || got != want {
		t.Errorf("parseH2load = %+v, %v; want %+v", got, err, want)
	}
}

func TestParseH2loadRefuses(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(h2loadOutput, old, with, 1) }
	for _, tc := range []struct{ name, out, want string }{
		{"a redirect", replace("0 3xx", "1 3xx"), "1 3xx"},
		{"an error of the client's", replace("0 4xx", "2 4xx"), "2 4xx"},
		{"an error of the server's", replace("0 5xx", "3 5xx"), "3 5xx"},
		{"a reset stream", replace("0 failed", "4 failed"), "4 failed"},
		{"a broken connection", replace("0 errored", "5 errored"), "5 errored"},
		{"a timeout", replace("0 timeout", "6 timeout"), "6 timeout"},
		{"fewer succeeded than done", replace("23928 succeeded", "23927 succeeded"), "requests failed"},
		{"no requests", strings.ReplaceAll(h2loadOutput, "23928", "0"), "no request was answered"},
		{"an unknown time", replace("2.00s", "2fortnights"), "is not a time"},
		{"a count out of range", strings.ReplaceAll(h2loadOutput, "23928", "99999999999999999999"), "requests"},
		{"nothing", "", "no count of requests"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := parseH2load(tc.out); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("parseH2load = %+v, %v; want an error with %q", got, err, tc.want)
			}
		})
	}
}

func FuzzParseH2load(f *testing.F) {
	f.Add(h2loadOutput)
	f.Fuzz(func(t *testing.T, out string) {
		l, err := parseH2load(out)
		if err == nil && (l.requests <= 0 || l.elapsed <= 0) {
			t.Errorf("accepted %+v", l)
		}
	})
}

func TestLoadArguments(t *testing.T) {
	streams := cell{Connections: 16, Streams: 10}
	for _, tc := range []struct {
		got  []string
		want string
	}{
		{h2loadArguments("h2load", streams, 4*time.Second, "URL", ""), "h2load -t1 -c16 -m10 -D4 URL"},
		{h2loadArguments("h2load", streams, 4*time.Second, "URL", "FILE"),
			"h2load -t1 -c16 -m10 -D4 -d FILE -H content-type: application/grpc -H te: trailers URL"},
		{wrkArguments("wrk", cell{Connections: 32}, time.Second, "URL"), "wrk -t1 -c32 -d1s --latency URL"},
		{wrkArguments("wrk", cell{Connections: 32, Fresh: true}, time.Second, "URL"),
			"wrk -t1 -c32 -d1s --latency -H Connection: close URL"},
	} {
		if got := strings.Join(tc.got, " "); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestFrame(t *testing.T) {
	message, err := unframe(frame([]byte("hello")))
	if err != nil || string(message) != "hello" {
		t.Errorf("unframe(frame(hello)) = %q, %v", message, err)
	}
	whole := frame([]byte("hello"))
	for name, body := range map[string][]byte{
		"nothing": nil, "cut short": whole[:len(whole)-1], "more behind": append(slices.Clone(whole), 'x'),
		"compressed": append([]byte{1}, whole[1:]...),
	} {
		if message, err := unframe(body); err == nil {
			t.Errorf("%s: taken for %q", name, message)
		}
	}
}
