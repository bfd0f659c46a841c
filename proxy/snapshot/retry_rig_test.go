package snapshot_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// act is what an endpoint does with a request whose content it has read.
type act func(w http.ResponseWriter, r *http.Request)

// answers is a response of that status and those fields ("name: value").
func answers(status int, fields ...string) act {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, "as planned")
	}
}

// aborts closes an HTTP/1 connection, or resets an HTTP/2 stream.
func aborts(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// hangs answers nothing until the proxy gives up.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// got is a request as an endpoint got it.
type got struct {
	endpoint string
	header   http.Header
	trailer  http.Header
	method   string
	body     string
	whole    bool
}

// play is endpoints that act by turns, whichever of them is asked: the first request
// meets the first act, and all those after the last meet that one.
type play struct {
	t         *testing.T
	addresses []string

	mu   sync.Mutex
	acts []act
	got  []got
}

// stage runs n endpoints that speak what up says.
func stage(t *testing.T, up side, n int, acts ...act) *play {
	p := &play{t: t, acts: acts}
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		server := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.take(address, w, r) }), Protocols: up.speaks(),
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		}
		var wg sync.WaitGroup
		wg.Go(func() { server.Serve(l) })
		t.Cleanup(func() {
			server.Close()
			wg.Wait()
		})
		p.addresses = append(p.addresses, address)
	}
	return p
}

func (p *play) take(address string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	p.mu.Lock()
	n := len(p.got)
	p.got = append(p.got, got{address, r.Header.Clone(), r.Trailer.Clone(), r.Method, string(body), err == nil})
	a := p.acts[min(n, len(p.acts)-1)]
	p.mu.Unlock()
	a(w, r)
}

// requests are those that have come so far.
func (p *play) requests() []got {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// wants waits until so many requests have come.
func (p *play) wants(n int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d requests at the endpoints", n), func() bool { return len(p.requests()) >= n })
}

// before are the settings of a lab in front of the endpoints.
func (p *play) before(up side) func(*settings) {
	return func(s *settings) {
		s.Cluster.Endpoints = p.addresses
		s.Cluster.Protocol = "http1"
		if up.http2 {
			s.Cluster.Protocol = "http2"
		}
	}
}

// retrying is a policy that does not wait long.
func retrying(attempts int, on ...string) *config.Retry {
	r := config.NewRetry(on...)
	r.Attempts, r.Backoff.Base, r.Backoff.Max = attempts, time.Millisecond, 2*time.Millisecond
	return r
}

// tried is a lab in front of a play, and a client that asks it.
type tried struct {
	*rig
	play   *play
	client *http.Client
}

// try starts them. When the test ends nothing may be under way.
func (p *play) try(down, up side, change ...func(*settings)) *tried {
	p.t.Helper()
	l := startLab(p.t, p.addresses[0], append([]func(*settings){p.before(up)}, change...)...)
	transport := &http.Transport{Protocols: down.speaks(), DisableCompression: true, ExpectContinueTimeout: patience}
	p.t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: patience}
	if !down.http2 {
		client.Transport = listening{transport}
	}
	x := &tried{rig: l, play: p, client: client}
	p.t.Cleanup(x.settled)
	return x
}

// listening hears a response whatever becomes of the content. http.Transport may tell
// instead that it could not write what the proxy did not wait for; so much content goes
// on a connection of its own.
type listening struct{ *http.Transport }

func (l listening) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength < 1<<20 {
		return l.Transport.RoundTrip(r)
	}
	c, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	var writing sync.WaitGroup
	end := func() error {
		err := c.Close()
		writing.Wait()
		return err
	}
	c.SetDeadline(timeLimit())
	left := context.AfterFunc(r.Context(), func() { c.Close() })
	writing.Go(func() { r.Write(c) })
	response, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		left()
		end()
		return nil, err
	}
	response.Body = ending{response.Body, func() error {
		left()
		return end()
	}}
	return response, nil
}

// ending ends a connection with its content.
type ending struct {
	io.Reader
	end func() error
}

func (e ending) Close() error { return e.end() }

// outcomeOf is a response with its Hop.
type outcomeOf struct {
	*http.Response
	body string
	hop  *hop.Hop
}

// ask sends a request with these fields, and waits for its Hop.
func (x *tried) ask(method string, body io.Reader, fields ...string) outcomeOf {
	x.t.Helper()
	r, trace := x.request(context.Background(), method, body, fields...)
	resp, err := x.client.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Errorf("reading the response: %v after %.100q", err, text)
	}
	return outcomeOf{resp, string(text), x.rig.hop(trace)}
}

func (x *tried) request(ctx context.Context, method string, body io.Reader, fields ...string) (*http.Request, hop.TraceID) {
	x.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+x.ingress()+"/", body)
	if err != nil {
		x.t.Fatal(err)
	}
	trace, field := newTrace()
	for _, f := range append(fields, strings.TrimSuffix(field, "\r\n")) {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	return r, trace
}

// attempts are the attempts of a Hop in short: "status" or "flags" of each.
func attempts(h *hop.Hop) string {
	var all []string
	for _, a := range h.Attempts {
		word := a.Flags.String()
		if word == "" {
			word = fmt.Sprint(a.Status)
		}
		if a.End == 0 || a.End < a.Start || a.Span.IsZero() || a.Endpoint == "" {
			word = fmt.Sprintf("%+v", a)
		}
		all = append(all, word)
	}
	return strings.Join(all, " ")
}

// wantHop compares a response and its Hop with what is expected of them.
func (o outcomeOf) want(t *testing.T, status int, flags, tries string) {
	t.Helper()
	if o.StatusCode != status || o.hop.Status != status || o.hop.Flags.String() != flags || attempts(o.hop) != tries {
		t.Errorf("status %d (hop %d), flags %q, attempts %q; want %d, %q, %q: %s", o.StatusCode, o.hop.Status, o.hop.Flags, attempts(o.hop), status, flags, tries, o.hop.Failure.Reason)
	}
}

// clusterCounts is what /clusters says of what is under way.
type clusterCounts struct {
	Name      string `json:"name"`
	Requests  int64  `json:"requests_active"`
	Retries   int64  `json:"retries_active"`
	Retried   uint64 `json:"retries_total"`
	Refused   uint64 `json:"retries_refused_total"`
	Endpoints []struct {
		Address string `json:"address"`
		Active  int64  `json:"requests_active"`
	} `json:"endpoints"`
	Connections struct {
		Active  int `json:"active"`
		Idle    int `json:"idle"`
		Pending int `json:"requests_pending"`
	} `json:"connections"`
}

func (l *rig) counts() (c clusterCounts) {
	l.t.Helper()
	text := l.admin("/clusters", "application/json")
	var list []clusterCounts
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		l.t.Fatalf("/clusters: %v in %.200s", err, text)
	}
	for _, c := range list {
		if c.Name == "web" {
			return c
		}
	}
	l.t.Fatalf("/clusters has no web: %.200s", text)
	return c
}

// settled waits until every count of what is under way is back at 0.
func (x *tried) settled() {
	x.t.Helper()
	eventually(x.t, "every count being back at 0", func() bool {
		c := x.counts()
		busy := c.Requests + c.Retries + int64(c.Connections.Active+c.Connections.Pending)
		for _, e := range c.Endpoints {
			busy += e.Active
		}
		return busy == 0
	})
}

var h1c, h2c = sides[0], sides[1]

// plainPairs runs a test for HTTP/1 and HTTP/2 on both sides.
func plainPairs(t *testing.T, test func(t *testing.T, down, up side)) {
	for _, down := range sides[:2] {
		for _, up := range sides[:2] {
			t.Run(down.name+" to "+up.name, func(t *testing.T) {
				noLeaks(t)
				test(t, down, up)
			})
		}
	}
}
