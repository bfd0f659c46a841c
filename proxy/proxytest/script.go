package proxytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Script is endpoints that act by turns, whichever of them is asked: the first request
// meets the first act, and all those after the last meet that one.
type Script struct {
	T         testing.TB
	Addresses []string

	mu   sync.Mutex
	acts []Act
	got  []Got
}

// StartScript runs n endpoints that speak what up says.
func StartScript(t testing.TB, up Side, n int, acts ...Act) *Script {
	p := &Script{T: t, acts: acts}
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		server := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.take(address, w, r) }), Protocols: up.Protocols(),
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		}
		var wg sync.WaitGroup
		wg.Go(func() { server.Serve(l) })
		t.Cleanup(func() {
			server.Close()
			wg.Wait()
		})
		p.Addresses = append(p.Addresses, address)
	}
	return p
}

// Act is what an endpoint does with a request whose content it has read.
type Act func(w http.ResponseWriter, r *http.Request)

// Respond is a response of that status and those fields ("name: value").
func Respond(status int, fields ...string) Act {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, "as planned")
	}
}

// Abort closes an HTTP/1 connection, or resets an HTTP/2 stream.
func Abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Hang answers nothing until the proxy gives up.
func Hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Got is a request as an endpoint got it.
type Got struct {
	Endpoint string
	Header   http.Header
	Trailer  http.Header
	method   string
	Body     string
	Whole    bool
}

// Said are the names of Envoy's fields among those of a request.
func (g *Got) Said() (names []string) {
	for name := range g.Header {
		if strings.HasPrefix(strings.ToLower(name), "x-envoy-") {
			names = append(names, name)
		}
	}
	return names
}

func (p *Script) take(address string, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	p.mu.Lock()
	n := len(p.got)
	p.got = append(p.got, Got{address, r.Header.Clone(), r.Trailer.Clone(), r.Method, string(body), err == nil})
	a := p.acts[min(n, len(p.acts)-1)]
	p.mu.Unlock()
	a(w, r)
}

// Requests are those that have come so far.
func (p *Script) Requests() []Got {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// AwaitRequests waits until so many requests have come.
func (p *Script) AwaitRequests(n int) {
	p.T.Helper()
	Eventually(p.T, fmt.Sprintf("%d requests at the endpoints", n), func() bool { return len(p.Requests()) >= n })
}

// Before puts a proxy in front of the endpoints.
func (p *Script) Before(up Side) func(*Settings) {
	return func(s *Settings) {
		s.Cluster.Endpoints = p.Addresses
		s.Cluster.Protocol = "http1"
		if up.HTTP2 {
			s.Cluster.Protocol = "http2"
		}
	}
}

// Client is a proxy in front of a script, and an HTTP client that asks it.
type Client struct {
	*Proxy
	Script *Script
	HTTP   *http.Client
}

// Start runs a proxy in front of the endpoints, and a client. When the test ends nothing
// may be under way.
func (p *Script) Start(down, up Side, change ...func(*Settings)) *Client {
	p.T.Helper()
	l := StartWithViews(p.T, p.Addresses[0], append([]func(*Settings){p.Before(up)}, change...)...)
	transport := &http.Transport{Protocols: down.Protocols(), DisableCompression: true, ExpectContinueTimeout: Patience}
	p.T.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: Patience}
	if !down.HTTP2 {
		client.Transport = listening{transport}
	}
	x := &Client{Proxy: l, Script: p, HTTP: client}
	p.T.Cleanup(x.Settled)
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
	c.SetDeadline(Deadline())
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

// Outcome is a response with its Hop.
type Outcome struct {
	*http.Response
	Body string
	Hop  *hop.Hop
}

// Ask sends a request with these fields, and waits for its Hop.
func (x *Client) Ask(method string, body io.Reader, fields ...string) Outcome {
	x.T.Helper()
	r, trace := x.NewRequest(context.Background(), method, body, fields...)
	resp, err := x.HTTP.Do(r)
	if err != nil {
		x.T.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		x.T.Errorf("reading the response: %v after %.100q", err, text)
	}
	return Outcome{resp, string(text), x.Hop(trace)}
}

// Finish reads a response to its end and closes it. A response that is closed unread
// is one that the client broke off: over HTTP/2 its stream is reset.
func Finish(r *http.Response) {
	_, _ = io.Copy(io.Discard, r.Body)
	r.Body.Close()
}

// NewRequest makes a request with these fields ("name: value") and a trace of its own.
func (x *Client) NewRequest(ctx context.Context, method string, body io.Reader, fields ...string) (*http.Request, hop.TraceID) {
	x.T.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+x.Ingress()+"/", body)
	if err != nil {
		x.T.Fatal(err)
	}
	trace, field := NewTrace()
	for _, f := range append(fields, strings.TrimSuffix(field, "\r\n")) {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	return r, trace
}

// Want compares a response and its Hop with what is expected of them.
func (o Outcome) Want(t testing.TB, status int, flags, tries string) {
	t.Helper()
	if o.StatusCode != status || o.Hop.Status != status || o.Hop.Flags.String() != flags || Attempts(o.Hop) != tries {
		t.Errorf("status %d (hop %d), flags %q, attempts %q; want %d, %q, %q: %s", o.StatusCode, o.Hop.Status, o.Hop.Flags, Attempts(o.Hop), status, flags, tries, o.Hop.Failure.Reason)
	}
}

// Settled waits until every count of what is under way is back at 0.
func (x *Client) Settled() {
	x.T.Helper()
	Eventually(x.T, "every count being back at 0", func() bool {
		c, busy := x.Counts(), int64(0)
		for _, of := range []PriorityCounts{c.PriorityCounts, c.High} {
			busy += of.Requests + of.Retries + int64(of.Connections.Active+of.Connections.Pending)
		}
		for _, e := range c.Endpoints {
			busy += e.Active
		}
		return busy == 0
	})
}
