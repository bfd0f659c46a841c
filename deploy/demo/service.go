package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// service is one application of the mesh: an ordinary HTTP server that calls
// others through an ordinary HTTP client. It knows nothing of hopscope but the
// address of its HTTP proxy.
type service struct {
	node
	listener net.Listener
	server   *http.Server
	client   *http.Client
	callees  []node
	served   atomic.Int64
	// hold is how long it takes for the n-th request beyond its work.
	hold func(n int64) time.Duration
}

// reply is what every service answers.
type reply struct {
	Service string  `json:"service"`
	Trace   string  `json:"trace,omitempty"`
	Error   string  `json:"error,omitempty"`
	Calls   []reply `json:"calls,omitempty"`
}

// newService opens the socket of a service whose callees are found by name
// through the proxy that connect sets. It does not serve yet.
func newService(n node, g []node, log *slog.Logger, hold func(int64) time.Duration) (*service, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: no socket for %s: %w", n.name, err)
	}
	s := &service{node: n, listener: l, hold: hold}
	for _, c := range n.calls {
		s.callees = append(s.callees, find(g, c))
	}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// connect gives the service its way out: the outbound listener of its sidecar,
// as HTTP_PROXY would.
func (s *service) connect(proxy string) {
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy:               http.ProxyURL(&url.URL{Scheme: "http", Host: proxy}),
		MaxIdleConnsPerHost: 64,
	}}
}

// serve serves until close.
func (s *service) serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("demo: %s stopped serving: %w", s.name, err)
	}
	return nil
}

// close ends what is in flight and lets the sockets go.
func (s *service) close() {
	s.listener.Close()
	s.server.Close()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != s.path {
		http.Error(w, s.name+" serves "+s.path, http.StatusNotFound)
		return
	}
	pause(r.Context(), s.work+s.hold(s.served.Add(1)))
	out := reply{Service: s.name, Calls: make([]reply, len(s.callees))}
	var calls sync.WaitGroup
	for i, c := range s.callees {
		calls.Go(func() { out.Calls[i] = s.call(r, c) })
	}
	calls.Wait()
	status := http.StatusOK
	for _, c := range out.Calls {
		if c.Error != "" {
			out.Error, status = c.Service+" failed", http.StatusBadGateway
		}
	}
	if s.name == entry {
		out.Trace = traceOf(r)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	// An error here means that the caller went away.
	_ = enc.Encode(out)
}

// call asks another service and returns its reply, or one that says what went
// wrong.
func (s *service) call(r *http.Request, to node) reply {
	failed := func(format string, args ...any) reply {
		return reply{Service: to.name, Error: fmt.Sprintf(format, args...)}
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+to.name+to.path, nil)
	if err != nil {
		return failed("%v", err)
	}
	propagate(req.Header, r.Header)
	resp, err := s.client.Do(req)
	if err != nil {
		return failed("%v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return failed("its answer broke off: %v", err)
	}
	var answer reply
	if json.Unmarshal(body, &answer) != nil || answer.Service == "" {
		// Not from the service: its sidecar, or ours, answered for it.
		return failed("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	if resp.StatusCode >= 500 && answer.Error == "" {
		answer.Error = resp.Status
	}
	return answer
}

// propagate is all that tracing asks of an application: hand on, with each
// request that it makes, the context of the request that it serves.
func propagate(out, in http.Header) {
	for _, name := range contextFields() {
		if values := in.Values(name); len(values) > 0 {
			out[name] = values
		}
	}
}

// contextFields are the fields of the trace context.
func contextFields() []string { return []string{"Traceparent", "Tracestate", "Baggage"} }

// traceOf is the trace id of a request, from its traceparent.
func traceOf(r *http.Request) string {
	if parts := strings.Split(r.Header.Get("Traceparent"), "-"); len(parts) >= 4 {
		return parts[1]
	}
	return ""
}

// pause takes that long, or until the request is over.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
