package snapshot_test

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/proxy/config"
)

// perTry gives each attempt that time.
func perTry(r *config.Retry, t time.Duration) *config.Retry {
	r.PerTryTimeout = t
	return r
}

// TestTimeoutPerTry: an attempt whose time is up is a failure of its own, which the
// policy may retry; the request's own time is not.
func TestTimeoutPerTry(t *testing.T) {
	for _, tt := range []struct {
		name    string
		retry   *config.Retry
		timeout time.Duration
		acts    []act
		status  int
		flags   string
		tries   string
		details string
	}{
		{"5xx", perTry(retrying(3, "5xx"), short), long, []act{hangs, answers(200)}, 200, "", "UT 200", "upstream_per_try_timeout"},
		{"gateway-error", perTry(retrying(3, "gateway-error"), short), long, []act{hangs, hangs, answers(200)}, 200, "", "UT UT 200", "upstream_per_try_timeout"},
		{"reset", perTry(retrying(3, "reset"), short), long, []act{hangs, answers(200)}, 200, "", "UT 200", "upstream_per_try_timeout"},
		{"connect-failure", perTry(retrying(3, "connect-failure"), short), long, []act{hangs, answers(200)}, 504, "UT", "UT", "upstream_per_try_timeout"},
		{"used up", perTry(retrying(2, "5xx"), short), long, []act{hangs}, 504, "URX,UT", "UT UT", "upstream_per_try_timeout"},
		{"the request's", retrying(3, "5xx", "reset", "gateway-error"), short, []act{hangs}, 504, "UT", "UT", "response_timeout"},
		{"the request's is shorter", perTry(retrying(3, "5xx"), long), short, []act{hangs}, 504, "UT", "UT", "response_timeout"},
		{"none but that of an attempt", perTry(retrying(2, "5xx"), short), 0, []act{hangs}, 504, "URX,UT", "UT UT", "upstream_per_try_timeout"},
	} {
		for _, content := range []string{"", "whole", "uploaded"} {
			t.Run(tt.name+" "+content, func(t *testing.T) {
				plainPairs(t, func(t *testing.T, down, up side) {
					p := stage(t, up, 2, tt.acts...)
					x := p.try(down, up, func(s *settings) { s.Cluster.Retry, s.Route.Timeout = tt.retry, tt.timeout })
					var body io.Reader
					switch content {
					case "whole":
						body = strings.NewReader(content)
					case "uploaded":
						body = later(content)
					}
					o := x.ask("POST", body)
					o.want(t, tt.status, tt.flags, tt.tries)
					if a := o.hop.Attempts[0]; a.Details != tt.details || a.End-a.Start < short || a.ProxyError != "http_response_timeout" {
						t.Errorf("the first attempt took %v, details %q, error %q", a.End-a.Start, a.Details, a.ProxyError)
					}
					for i, r := range p.requests() {
						if r.body != content {
							t.Errorf("request %d: body %q", i, r.body)
						}
					}
				})
			})
		}
	}
}

// TestTimeoutPerTryEndsWithTheHead: content may take longer than one attempt may.
func TestTimeoutPerTryEndsWithTheHead(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		for range pieces {
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			time.Sleep(pause)
		}
	}
	for name, timeout := range map[string]time.Duration{"with the route's": long, "alone": 0} {
		for _, content := range []string{"", "hello", "uploaded"} {
			t.Run(name+" "+content, func(t *testing.T) {
				plainPairs(t, func(t *testing.T, down, up side) {
					x := stage(t, up, 1, slow).try(down, up, func(s *settings) {
						s.Cluster.Retry, s.Route.Timeout = perTry(retrying(2, "5xx"), patient), timeout
					})
					var body io.Reader
					if content != "" {
						body = strings.NewReader(content)
					}
					if content == "uploaded" {
						body = later(content)
					}
					o := x.ask("POST", body)
					o.want(t, 200, "", "200")
					if len(o.body) != pieces {
						t.Errorf("%d pieces", len(o.body))
					}
				})
			})
		}
	}
}

// TestTimeoutIsOneForAllAttempts: the request's time does not begin anew with each
// attempt, nor does it wait for a retry that would come too late.
func TestTimeoutIsOneForAllAttempts(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, hangs)
	x := p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Retry, s.Route.Timeout = perTry(retrying(100, "5xx"), short), 5*short/2
	})
	o := x.ask("GET", nil)
	if o.StatusCode != 504 || o.hop.Flags.String() != "UT" || o.hop.End < 5*short/2 || len(o.hop.Attempts) > 3 {
		t.Errorf("status %d, flags %q, attempts %q within %v", o.StatusCode, o.hop.Flags, attempts(o.hop), o.hop.End)
	}

	p = stage(t, h1c, 2, answers(503))
	x = p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Retry, s.Route.Timeout = retrying(100, "5xx"), short
		s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = time.Hour, time.Hour
	})
	if o = x.ask("GET", nil); o.StatusCode != 503 || o.hop.Flags != 0 || len(o.hop.Attempts) != 1 {
		t.Errorf("status %d, flags %q, attempts %q", o.StatusCode, o.hop.Flags, attempts(o.hop))
	}
}

// TestTimeoutBeginsWithTheEndOfTheRequest: an upload may take longer than the
// timeout, and is retried after that.
func TestTimeoutBeginsWithTheEndOfTheRequest(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		p := stage(t, up, 2, answers(503), answers(200))
		x := p.try(down, up, func(s *settings) { s.Cluster.Retry, s.Route.Timeout = retrying(2, "5xx"), patient })
		begin := make(chan struct{})
		time.AfterFunc(2*patient, func() { close(begin) })
		o := x.ask("POST", &slowly{strings.NewReader(" on"), "later", begin})
		o.want(t, 200, "", "503 200")
		if got := p.requests()[1].body; got != "later on" {
			t.Errorf("body %q", got)
		}
	})
}

// TestTimeoutWhileConnecting: the route's time and that of an attempt bound the
// time to connect as well.
func TestTimeoutWhileConnecting(t *testing.T) {
	noLeaks(t)
	deaf := deafPort(t)
	for _, tt := range []struct {
		name    string
		retry   *config.Retry
		timeout time.Duration
		flags   string
		tries   string
		details string
	}{
		{"the route's", nil, short, "UT", "UT", "response_timeout"},
		{"an attempt's", perTry(retrying(2, "5xx"), short), long, "URX,UT", "UT UT", "upstream_per_try_timeout"},
	} {
		x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, func(s *settings) {
			s.Cluster.Endpoints, s.Cluster.ConnectTimeout = []string{deaf}, long
			s.Cluster.Retry, s.Route.Timeout = tt.retry, tt.timeout
		})
		o := x.ask("GET", nil)
		o.want(t, 504, tt.flags, tt.tries)
		if o.hop.Details != tt.details {
			t.Errorf("%s: details %q, want %q", tt.name, o.hop.Details, tt.details)
		}
	}
}

// deafPort is an address to which no connection comes to be: its backlog is full.
func deafPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	for { // until one is left without an answer
		c, err := net.DialTimeout("tcp", address, short)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestTimeoutsFromCallers: who is trusted says how a request is retried and how long
// it may take; what others say has no effect. Endpoints see none of it.
func TestTimeoutsFromCallers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		acts   []act
		status int
		tries  string
		// The same where the caller is not trusted.
		strange string
	}{
		{"retry-on", []string{"x-envoy-retry-on: connect-failure, 5xx"}, []act{answers(503), answers(200)}, 200, "503 200", "503"},
		{"retry-grpc-on", []string{"x-envoy-retry-grpc-on: unavailable", "content-type: application/grpc"}, []act{answers(200, "content-type: application/grpc", "grpc-status: 14"), answers(200, "content-type: application/grpc", "grpc-status: 0")}, 200, "200 200", "200"},
		{"max-retries", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"}, []act{answers(503), answers(503), answers(200)}, 200, "503 503 200", "503"},
		{"max-retries alone", []string{"x-envoy-max-retries: 3"}, []act{answers(503), answers(200)}, 503, "503", "503"},
		{"no retries", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 0"}, []act{answers(503), answers(200)}, 503, "503", "503"},
		{"no word", []string{"x-envoy-retry-on: 6xx"}, []act{answers(503), answers(200)}, 503, "503", "503"},
		{"rq-timeout", []string{"x-envoy-upstream-rq-timeout-ms: 100"}, []act{hangs}, 504, "UT", ""},
		{"rq-per-try-timeout", []string{"x-envoy-retry-on: 5xx", "x-envoy-upstream-rq-per-try-timeout-ms: 100"}, []act{hangs, answers(200)}, 200, "UT 200", ""},
		{"nonsense", []string{"x-envoy-upstream-rq-timeout-ms: soon", "x-envoy-max-retries: -1"}, []act{answers(200)}, 200, "200", "200"},
	} {
		for _, trusted := range []bool{true, false} {
			want := tt.tries
			if !trusted {
				if want = tt.strange; want == "" {
					continue // it would wait for long
				}
			}
			t.Run(tt.name+" trusted "+strconv.FormatBool(trusted), func(t *testing.T) {
				noLeaks(t)
				p := stage(t, h2c, 2, tt.acts...)
				x := p.try(h2c, h2c, func(s *settings) {
					s.Cluster.CircuitBreaker.MaxRetries = 10
					if !trusted {
						s.Listener.TrustedCallers = nil
					}
				})
				o := x.ask("POST", strings.NewReader(""), tt.fields...)
				if attempts(o.hop) != want || trusted && o.StatusCode != tt.status {
					t.Errorf("status %d, attempts %q, want %q", o.StatusCode, attempts(o.hop), want)
				}
				for i, r := range p.requests() {
					for name := range r.header {
						if lower := strings.ToLower(name); slices.Contains([]string{"x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"}, lower) {
							t.Errorf("the endpoint got %s", lower)
						}
					}
					if count := r.header.Get("X-Envoy-Attempt-Count"); i > 0 && count != strconv.Itoa(i+1) {
						t.Errorf("request %d is attempt %q", i, count)
					}
				}
			})
		}
	}
}

// TestTimeoutsAreTold: an endpoint is told which attempt it is, and how long it may take.
func TestTimeoutsAreTold(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, answers(503), answers(200))
	x := p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Retry, s.Route.Timeout = perTry(retrying(2, "5xx"), 7*time.Second), long
	})
	x.ask("GET", nil, "x-envoy-attempt-count: 9", "x-envoy-expected-rq-timeout-ms: 9").want(t, 200, "", "503 200")
	for i, r := range p.requests() {
		if got := r.header.Values("X-Envoy-Attempt-Count"); len(got) != 1 || got[0] != strconv.Itoa(i+1) {
			t.Errorf("attempt %d is told that it is %q", i+1, got)
		}
		if got := r.header.Values("X-Envoy-Expected-Rq-Timeout-Ms"); len(got) != 1 || got[0] != "7000" {
			t.Errorf("attempt %d is told that it has %q", i+1, got)
		}
	}
}

// TestTimeoutOfACall: grpc-timeout is the time for all attempts.
func TestTimeoutOfACall(t *testing.T) {
	noLeaks(t)
	p := stage(t, h2c, 2, hangs)
	x := p.try(h2c, h2c, func(s *settings) { s.Cluster.Retry = perTry(retrying(100, "5xx"), short) })
	o := x.ask("POST", strings.NewReader(""), "content-type: application/grpc", "grpc-timeout: 250m")
	if o.Header.Get("Grpc-Status") != "4" || len(o.hop.Attempts) > 3 || o.hop.End < 250*time.Millisecond || !strings.HasPrefix(attempts(o.hop), "UT") {
		t.Errorf("status %q, attempts %q within %v", o.Header.Get("Grpc-Status"), attempts(o.hop), o.hop.End)
	}
	for i, r := range p.requests() {
		if left := r.header.Get("Grpc-Timeout"); left == "" || left == "250m" {
			t.Errorf("attempt %d was told that it has %q", i, left)
		}
	}
}
