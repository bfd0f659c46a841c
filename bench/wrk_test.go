package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const wrkOutput = `Running 5s test @ http://127.0.0.1:8080/98
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   460.81us  157.46us   5.02ms   89.95%
    Req/Sec    69.31k     2.83k   72.66k    86.27%
  Latency Distribution
     50%  440.00us
     75%  486.00us
     90%  549.00us
     99%    1.05ms
  351663 requests in 5.10s, 79.81MB read
Requests/sec:  68953.60
Transfer/sec:     15.65MB
`

func TestParseWrk(t *testing.T) {
	got, err := parseWrk(wrkOutput)
	want := load{requests: 351663, elapsed: 5100 * time.Millisecond, p50: 440 * time.Microsecond, p99: 1050 * time.Microsecond}
	if err != nil || got != want {
		t.Errorf("parseWrk = %+v, %v; want %+v", got, err, want)
	}
}

func TestParseWrkRefuses(t *testing.T) {
	insert := func(line string) string {
		return strings.Replace(wrkOutput, "Requests/sec", line+"\nRequests/sec", 1)
	}
	for _, tc := range []struct{ name, out, want string }{
		{"an answer that is not 2xx", insert("  Non-2xx or 3xx responses: 12"), "Non-2xx or 3xx responses: 12"},
		{"a socket error", insert("  Socket errors: connect 0, read 3, write 0, timeout 0"), "read 3"},
		{"a timeout", insert("  Socket errors: connect 0, read 0, write 0, timeout 7"), "timeout 7"},
		{"no requests", strings.Replace(wrkOutput, "351663 requests", "0 requests", 1), "no request was answered"},
		{"no latencies", strings.Replace(wrkOutput, "99% ", "98% ", 1), "no latency"},
		{"an unknown time", strings.Replace(wrkOutput, "440.00us", "440.00fortnights", 1), "is not a time"},
		{"a negative time", strings.Replace(wrkOutput, "440.00us", "-440.00us", 1), "is not a time"},
		{"a count out of range", strings.Replace(wrkOutput, "351663", "99999999999999999999", 1), "requests"},
		{"nothing", "", "no count of requests"},
		{"a refusal to run", "unable to connect to 127.0.0.1:1 Connection refused\n", "Connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := parseWrk(tc.out); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("parseWrk = %+v, %v; want an error with %q", got, err, tc.want)
			}
		})
	}
}

func FuzzParseWrk(f *testing.F) {
	f.Add(wrkOutput)
	f.Add("  1 requests in 1s,\n50% 1us\n99% 1us\n")
	f.Fuzz(func(t *testing.T, out string) {
		l, err := parseWrk(out)
		if err == nil && (l.requests <= 0 || l.elapsed <= 0 || l.p50 <= 0 || l.p99 <= 0) {
			t.Errorf("accepted %+v", l)
		}
	})
}

func TestRunWrkFailsOnAnErrorAnswer(t *testing.T) {
	needPrograms(t, "wrk")
	path, err := findProgram("wrk")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	if got, err := runWrk(t.Context(), unpinned, wrkArguments(path, cell{Connections: 2}, time.Second, server.URL), nil); err == nil || !strings.Contains(err.Error(), "Non-2xx") {
		t.Errorf("runWrk = %+v, %v; want an error that names the answers", got, err)
	}
}
