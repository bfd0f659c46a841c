package converted_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/convert"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// seen is a request as an endpoint has it.
type seen struct {
	Endpoint, Method, Target, Host string
	Fields                         map[string]string // those that a test asks for
}

// outcome is what a client gets, and what the endpoint had.
type outcome struct {
	Status   int
	Location string
	Type     string
	Body     string
	Fields   map[string]string // of the response
	Seen     seen
}

// endpoint runs an endpoint that tells what it sees. fields are those that it tells of.
func endpoint(t *testing.T, name string, fields []string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if protocol := r.Header.Get("Upgrade"); protocol != "" {
			change(w, protocol)
			return
		}
		if code, to := r.URL.Query().Get("code"), r.URL.Query().Get("to"); code != "" {
			status, _ := strconv.Atoi(code)
			w.Header().Set("X-Token", "t")
			http.Redirect(w, r, to, status)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		one := seen{name, r.Method, r.RequestURI, r.Host, map[string]string{}}
		for _, f := range fields {
			one.Fields[f] = strings.Join(r.Header.Values(f), ", ")
		}
		text, _ := json.Marshal(one)
		w.Header().Set("X-Seen", string(text))
		w.Header().Set("X-Endpoint", "secret")
		w.Header().Set("Content-Type", "text/plain")
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// example is a configuration of another proxy, with the ports of the test's own endpoints
// in place of those that it has on 127.0.0.1.
func example(t *testing.T, path string, endpoints map[string]string, fields []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../convert/testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	for port, name := range endpoints {
		if !strings.Contains(string(text), port) {
			t.Fatalf("%s does not have the port %s", path, port)
		}
		_, own, _ := net.SplitHostPort(endpoint(t, name, fields))
		text = []byte(strings.ReplaceAll(string(text), port, own))
	}
	return string(text)
}

// converted runs hopscope with what a configuration was converted to, and returns the
// address of a listener.
func converted(t *testing.T, r *convert.Result, listener string) string {
	t.Helper()
	c := r.Config
	c.Admin.Address, c.Telemetry.AccessLog.Path = "off", "off"
	for i := range c.Listeners {
		c.Listeners[i].Address = proxytest.OwnAddress()
	}
	return proxytest.StartConfig(t, c).Addr(listener).String()
}

// request is what a test asks for.
type request struct {
	method, host, target string
	fields               map[string]string
}

// client sends requests to one proxy.
type client struct {
	http.Client
	fields []string // of responses that count
}

func newClient(t *testing.T, address string, fields []string) *client {
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{http.Client{Transport: transport, Timeout: proxytest.Patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, fields}
}

func (c *client) ask(t *testing.T, q request) outcome {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+q.host+q.target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range q.fields {
		r.Header.Set(name, value)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	o := outcome{Status: resp.StatusCode, Fields: map[string]string{}}
	if to, err := resp.Location(); err == nil { // against what was asked for
		o.Location = to.String()
	}
	for _, f := range c.fields {
		o.Fields[f] = strings.Join(resp.Header.Values(f), ", ")
	}
	if text := resp.Header.Get("X-Seen"); text != "" {
		if err := json.Unmarshal([]byte(text), &o.Seen); err != nil {
			t.Fatal(err)
		}
	} else if o.Status < 300 { // what proxies write into their errors and redirects is their own
		o.Body, o.Type = string(body), resp.Header.Get("Content-Type")
	}
	return o
}

// same asks both proxies for all requests, and compares.
func same(t *testing.T, original, ours string, requests []request, fields []string) {
	t.Helper()
	a, b := newClient(t, original, fields), newClient(t, ours, fields)
	failures := 0
	for _, q := range requests {
		if d := cmp.Diff(a.ask(t, q), b.ask(t, q)); d != "" {
			t.Errorf("%+v (-original +ours):\n%s", q, d)
			if failures++; failures > 20 {
				t.Fatal("and so on")
			}
		}
	}
}

// product is every combination of hosts, targets and fields.
func product(hosts, targets []string, fields []map[string]string, methods ...string) (all []request) {
	for _, host := range hosts {
		for _, target := range targets {
			for _, f := range fields {
				for _, m := range methods {
					all = append(all, request{m, host, target, f})
				}
			}
		}
	}
	return all
}
