package retry_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// long is a timeout that no test waits for.
const long = time.Minute

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
		acts    []proxytest.Act
		status  int
		flags   string
		tries   string
		details string
	}{
		{"5xx", perTry(proxytest.Retrying(3, "5xx"), proxytest.Short), long, []proxytest.Act{proxytest.Hang, proxytest.Respond(200)}, 200, "", "UT 200", "upstream_per_try_timeout"},
		{"gateway-error", perTry(proxytest.Retrying(3, "gateway-error"), proxytest.Short), long, []proxytest.Act{proxytest.Hang, proxytest.Hang, proxytest.Respond(200)}, 200, "", "UT UT 200", "upstream_per_try_timeout"},
		{"reset", perTry(proxytest.Retrying(3, "reset"), proxytest.Short), long, []proxytest.Act{proxytest.Hang, proxytest.Respond(200)}, 200, "", "UT 200", "upstream_per_try_timeout"},
		{"connect-failure", perTry(proxytest.Retrying(3, "connect-failure"), proxytest.Short), long, []proxytest.Act{proxytest.Hang, proxytest.Respond(200)}, 504, "UT", "UT", "upstream_per_try_timeout"},
		{"used up", perTry(proxytest.Retrying(2, "5xx"), proxytest.Short), long, []proxytest.Act{proxytest.Hang}, 504, "URX,UT", "UT UT", "upstream_per_try_timeout"},
		{"the request's", proxytest.Retrying(3, "5xx", "reset", "gateway-error"), proxytest.Short, []proxytest.Act{proxytest.Hang}, 504, "UT", "UT", "response_timeout"},
		{"the request's is shorter", perTry(proxytest.Retrying(3, "5xx"), long), proxytest.Short, []proxytest.Act{proxytest.Hang}, 504, "UT", "UT", "response_timeout"},
		{"none but that of an attempt", perTry(proxytest.Retrying(2, "5xx"), proxytest.Short), 0, []proxytest.Act{proxytest.Hang}, 504, "URX,UT", "UT UT", "upstream_per_try_timeout"},
	} {
		for _, content := range []string{"", "whole", "uploaded"} {
			t.Run(tt.name+" "+content, func(t *testing.T) {
				proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
					proxytest.Unhurried(t, proxytest.Short, func(t testing.TB, unit time.Duration) {
						scaled := func(d time.Duration) time.Duration {
							if d == proxytest.Short {
								return unit
							}
							return d
						}
						retry := *tt.retry
						retry.PerTryTimeout = scaled(retry.PerTryTimeout)
						p := proxytest.StartScript(t, up, 2, tt.acts...)
						x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry, s.Route.Timeout = &retry, scaled(tt.timeout) })
						var body io.Reader
						switch content {
						case "whole":
							body = strings.NewReader(content)
						case "uploaded":
							body = later(content)
						}
						o := x.Ask("POST", body)
						o.Want(t, tt.status, tt.flags, tt.tries)
						if a := o.Hop.Attempts[0]; a.Details != tt.details || a.End-a.Start < unit || a.ProxyError != "http_response_timeout" {
							t.Errorf("the first attempt took %v, details %q, error %q", a.End-a.Start, a.Details, a.ProxyError)
						}
						for i, r := range p.Requests() {
							if r.Body != content {
								t.Errorf("request %d: body %q", i, r.Body)
							}
						}
					})
				})
			})
		}
	}
}

// TestTimeoutPerTryEndsWithTheHead: content may take longer than one attempt may.
func TestTimeoutPerTryEndsWithTheHead(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"with the route's": long, "alone": 0} {
		for _, content := range []string{"", "hello", "uploaded"} {
			t.Run(name+" "+content, func(t *testing.T) {
				proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
					proxytest.Unhurried(t, 2*proxytest.Short, func(t testing.TB, limit time.Duration) {
						slow := func(w http.ResponseWriter, r *http.Request) {
							io.WriteString(w, "begun, ")
							w.(http.Flusher).Flush()
							time.Sleep(limit + limit/2) // longer than the attempt might have lasted
							io.WriteString(w, "ended")
						}
						x := proxytest.StartScript(t, up, 1, slow).Start(down, up, func(s *proxytest.Settings) {
							s.Cluster.Retry, s.Route.Timeout = perTry(proxytest.Retrying(2, "5xx"), limit), timeout
						})
						var body io.Reader
						if content != "" {
							body = strings.NewReader(content)
						}
						if content == "uploaded" {
							body = later(content)
						}
						o := x.Ask("POST", body)
						o.Want(t, 200, "", "200")
						proxytest.Same(t, "content", o.Body, "begun, ended")
					})
				})
			})
		}
	}
}

// TestTimeoutIsOneForAllAttempts: the request's time does not begin anew with each
// attempt, nor does it wait for a retry that would come too late.
func TestTimeoutIsOneForAllAttempts(t *testing.T) {
	proxytest.NoLeaks(t)
	proxytest.Unhurried(t, proxytest.Short, func(t testing.TB, unit time.Duration) {
		p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang)
		x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
			s.Cluster.Retry, s.Route.Timeout = perTry(proxytest.Retrying(100, "5xx"), unit), 5*unit/2
		})
		o := x.Ask("GET", nil)
		if o.StatusCode != 504 || o.Hop.Flags.String() != "UT" || o.Hop.End < 5*unit/2 || len(o.Hop.Attempts) > 3 {
			t.Errorf("status %d, flags %q, attempts %q within %v", o.StatusCode, o.Hop.Flags, proxytest.Attempts(o.Hop), o.Hop.End)
		}
	})

	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Retry, s.Route.Timeout = proxytest.Retrying(100, "5xx"), proxytest.Short
		s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = time.Hour, time.Hour
	})
	if o := x.Ask("GET", nil); o.StatusCode != 503 || o.Hop.Flags != 0 || len(o.Hop.Attempts) != 1 {
		t.Errorf("status %d, flags %q, attempts %q", o.StatusCode, o.Hop.Flags, proxytest.Attempts(o.Hop))
	}
}

// TestTimeoutBeginsWithTheEndOfTheRequest: an upload may take longer than the
// timeout, and is retried after that.
func TestTimeoutBeginsWithTheEndOfTheRequest(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		proxytest.Unhurried(t, 2*proxytest.Short, func(t testing.TB, limit time.Duration) {
			p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
			x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry, s.Route.Timeout = proxytest.Retrying(2, "5xx"), limit })
			begin := make(chan struct{})
			time.AfterFunc(2*limit, func() { close(begin) })
			o := x.Ask("POST", &slowly{strings.NewReader(" on"), "later", begin})
			o.Want(t, 200, "", "503 200")
			if all := p.Requests(); len(all) != 2 || all[1].Body != "later on" {
				t.Errorf("the endpoints got %+v", all)
			}
		})
	})
}

// TestTimeoutWhileConnecting: the route's time and that of an attempt bound the
// time to connect as well.
func TestTimeoutWhileConnecting(t *testing.T) {
	proxytest.NoLeaks(t)
	deaf := proxytest.DeafAddress(t)
	for _, tt := range []struct {
		name    string
		retry   *config.Retry
		timeout time.Duration
		flags   string
		tries   string
		details string
	}{
		{"the route's", nil, proxytest.Short, "UT", "UT", "response_timeout"},
		{"an attempt's", perTry(proxytest.Retrying(2, "5xx"), proxytest.Short), long, "URX,UT", "UT UT", "upstream_per_try_timeout"},
	} {
		x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
			s.Cluster.Endpoints, s.Cluster.ConnectTimeout = []string{deaf}, long
			s.Cluster.Retry, s.Route.Timeout = tt.retry, tt.timeout
		})
		o := x.Ask("GET", nil)
		o.Want(t, 504, tt.flags, tt.tries)
		if o.Hop.Details != tt.details {
			t.Errorf("%s: details %q, want %q", tt.name, o.Hop.Details, tt.details)
		}
	}
}

// TestTimeoutsFromCallers: who is trusted says how a request is retried and how long
// it may take; what others say has no effect. Endpoints see none of it.
func TestTimeoutsFromCallers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		acts   []proxytest.Act
		status int
		tries  string
		// The same where the caller is not trusted.
		strange string
	}{
		{"retry-on", []string{"x-envoy-retry-on: connect-failure, 5xx"}, []proxytest.Act{proxytest.Respond(503), proxytest.Respond(200)}, 200, "503 200", "503"},
		{"retry-grpc-on", []string{"x-envoy-retry-grpc-on: unavailable", "content-type: application/grpc"}, []proxytest.Act{proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 14"), proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0")}, 200, "200 200", "200"},
		{"max-retries", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"}, []proxytest.Act{proxytest.Respond(503), proxytest.Respond(503), proxytest.Respond(200)}, 200, "503 503 200", "503"},
		{"max-retries alone", []string{"x-envoy-max-retries: 3"}, []proxytest.Act{proxytest.Respond(503), proxytest.Respond(200)}, 503, "503", "503"},
		{"no retries", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 0"}, []proxytest.Act{proxytest.Respond(503), proxytest.Respond(200)}, 503, "503", "503"},
		{"no word", []string{"x-envoy-retry-on: 6xx"}, []proxytest.Act{proxytest.Respond(503), proxytest.Respond(200)}, 503, "503", "503"},
		{"rq-timeout", []string{"x-envoy-upstream-rq-timeout-ms: UNIT"}, []proxytest.Act{proxytest.Hang}, 504, "UT", ""},
		{"rq-per-try-timeout", []string{"x-envoy-retry-on: 5xx", "x-envoy-upstream-rq-per-try-timeout-ms: UNIT"}, []proxytest.Act{proxytest.Hang, proxytest.Respond(200)}, 200, "UT 200", ""},
		{"nonsense", []string{"x-envoy-upstream-rq-timeout-ms: soon", "x-envoy-max-retries: -1"}, []proxytest.Act{proxytest.Respond(200)}, 200, "200", "200"},
	} {
		for _, trusted := range []bool{true, false} {
			want := tt.tries
			if !trusted {
				if want = tt.strange; want == "" {
					continue // it would wait for long
				}
			}
			t.Run(tt.name+" trusted "+strconv.FormatBool(trusted), func(t *testing.T) {
				proxytest.NoLeaks(t)
				proxytest.Unhurried(t, proxytest.Short, func(t testing.TB, unit time.Duration) {
					p := proxytest.StartScript(t, proxytest.H2C, 2, tt.acts...)
					x := p.Start(proxytest.H2C, proxytest.H2C, func(s *proxytest.Settings) {
						s.Cluster.CircuitBreaker.MaxRetries = 10
						if !trusted {
							s.Listener.TrustedCallers = nil
						}
					})
					fields := slices.Clone(tt.fields)
					for i, f := range fields {
						fields[i] = strings.Replace(f, "UNIT", strconv.FormatInt(unit.Milliseconds(), 10), 1)
					}
					o := x.Ask("POST", strings.NewReader(""), fields...)
					if proxytest.Attempts(o.Hop) != want || trusted && o.StatusCode != tt.status {
						t.Errorf("status %d, attempts %q, want %q", o.StatusCode, proxytest.Attempts(o.Hop), want)
					}
					for i, r := range p.Requests() {
						for name := range r.Header {
							if lower := strings.ToLower(name); slices.Contains([]string{"x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"}, lower) {
								t.Errorf("the endpoint got %s", lower)
							}
						}
						if count := r.Header.Get("X-Envoy-Attempt-Count"); i > 0 && count != strconv.Itoa(i+1) {
							t.Errorf("request %d is attempt %q", i, count)
						}
					}
				})
			})
		}
	}
}

// TestTimeoutsAreTold: an endpoint is told which attempt it is, and how long it may take.
func TestTimeoutsAreTold(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503), proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Retry, s.Route.Timeout = perTry(proxytest.Retrying(2, "5xx"), 7*time.Second), long
	})
	x.Ask("GET", nil, "x-envoy-attempt-count: 9", "x-envoy-expected-rq-timeout-ms: 60000").Want(t, 200, "", "503 200")
	for i, r := range p.Requests() {
		if got := r.Header.Values("X-Envoy-Attempt-Count"); len(got) != 1 || got[0] != strconv.Itoa(i+1) {
			t.Errorf("attempt %d is told that it is %q", i+1, got)
		}
		if got := r.Header.Values("X-Envoy-Expected-Rq-Timeout-Ms"); len(got) != 1 || got[0] != "7000" {
			t.Errorf("attempt %d is told that it has %q", i+1, got)
		}
	}
}

// TestTimeoutOfACall: grpc-timeout is the time for all attempts.
func TestTimeoutOfACall(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H2C, 2, proxytest.Hang)
	x := p.Start(proxytest.H2C, proxytest.H2C, func(s *proxytest.Settings) { s.Cluster.Retry = perTry(proxytest.Retrying(100, "5xx"), proxytest.Short) })
	o := x.Ask("POST", strings.NewReader(""), "content-type: application/grpc", "grpc-timeout: 250m")
	if o.Header.Get("Grpc-Status") != "4" || len(o.Hop.Attempts) > 3 || o.Hop.End < 237*time.Millisecond || o.Hop.End > 2*time.Second || !strings.HasPrefix(proxytest.Attempts(o.Hop), "UT") {
		t.Errorf("status %q, attempts %q within %v", o.Header.Get("Grpc-Status"), proxytest.Attempts(o.Hop), o.Hop.End)
	}
	for i, r := range p.Requests() {
		if left := r.Header.Get("Grpc-Timeout"); left == "" || left == "250m" {
			t.Errorf("attempt %d was told that it has %q", i, left)
		}
	}
}
