package admin

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/events"
)

// whole adds what a proxy has that keeps hops, and fixture leaves out.
func whole(o *Options) {
	o.Why = func(since time.Time) *why.Digest {
		return why.Make(&why.Source{Service: o.Service, Since: since, Until: time.Now()})
	}
	o.Events = func(time.Time) []events.Event {
		now := time.Now()
		return []events.Event{{Time: now, Last: now, Count: 1, Kind: events.Start, Service: o.Service, Text: "it started"}}
	}
	o.Active = new(active.Table)
	o.Series = func(now time.Time, windows int) *series.Part {
		p := &series.Part{Service: o.Service, Started: now.Add(-time.Hour), Until: now.Truncate(series.Window), Windows: windows}
		one := series.Line{Direction: "inbound"}
		p.Spread(&one, now.Add(-time.Minute), now, 100, 10)
		p.Edges = []series.Line{one}
		return p
	}
}

// meshed is a proxy, and another one of its mesh.
func meshed(t *testing.T) (f, other *fixture) {
	other = newFixture(t, func(o *Options) { whole(o); o.Service = "orders" })
	f = newFixture(t, func(o *Options) {
		whole(o)
		o.Mesh = meshOf(t, strings.TrimPrefix(other.URL, "http://"), "127.0.0.1:1")
	})
	return f, other
}

// TestWholeMesh asks one proxy for what two know, and a third does not answer.
func TestWholeMesh(t *testing.T) {
	f, other := meshed(t)
	address := strings.TrimPrefix(other.URL, "http://")
	for path, want := range map[string][]string{
		"/v1/mesh/why?since=5m":                       {`"verdict":`, `"causes":[]`},
		"/v1/mesh/traces?failed=1&min=1ms":            {`"trace_id":"` + failedTrace + `"`, `"failed":true`, `"next":"hopscope trace ` + failedTrace + `"`, `"notes":[]`},
		"/v1/mesh/traces?flag=UF&status=5xx&text=buy": {`"trace_id":"` + failedTrace + `"`},
		"/v1/mesh/traces?status=404":                  {`"traces":[]`},
		"/v1/mesh/trace/" + failedTrace:               {`"verdict":"payments -> bank (127.0.0.1:4003): connection refused`, `"failed":true`},
		"/v1/mesh/events":                             {`"proxy":"` + address + `","instance":""`, `"proxy":"10.0.0.1:9901"`},
		"/v1/mesh/series?since=5m":                    {`"windows":20`, `"window_ns":15000000000`, `"service":"orders"`, `"proxied":true`, `"routes":[]`},
		"/v1/mesh/active?limit=5":                     {`"requests":[]`},
		"/v1/mesh/peers":                              {`"mesh":"shop"`, `"service":"orders"`, `"self":true`, `"address":"127.0.0.1:1"`},
	} {
		got := f.do("GET", path)
		if got.status != 200 || !json.Valid([]byte(got.body)) || !strings.Contains(got.body, `"error":"connection refused"`) {
			t.Errorf("%s: %v", path, got)
		}
		for _, w := range want {
			if !strings.Contains(got.body, w) {
				t.Errorf("%s: no %s in %s", path, w, got.body)
			}
		}
	}
	unknown := f.do("GET", "/v1/mesh/trace/"+strings.Repeat("1", 32))
	if unknown.status != 404 || unknown.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(unknown.body, `"peers":[{`) {
		t.Errorf("a trace that nobody knows: %v", unknown)
	}
	for path, want := range map[string]string{
		"/v1/mesh/why?since=x": "a duration", "/v1/mesh/why?sinc=1m": "only since", "/v1/mesh/traces?limit=0": "from 1 to", "/v1/mesh/traces?status=6xx": "such as 503",
		"/v1/mesh/traces?flag=uf": "response flag", "/v1/mesh/traces?min=5": "a duration", "/v1/mesh/trace/x": "is not a trace id", "/v1/mesh/active?limit=x": "from 1 to", "/v1/mesh/peers?a=b": "none",
		"/v1/mesh/events?since=1000h": "at most", "/v1/mesh/series?window=5s": "only since", "/v1/series?since=-1s": "a duration",
	} {
		if got := f.do("GET", path); got.status != 400 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
}

// TestProxyAloneIsAMesh: without mesh, a proxy answers for itself.
func TestProxyAloneIsAMesh(t *testing.T) {
	f := newFixture(t, whole)
	got := f.do("GET", "/v1/mesh/trace/"+failedTrace)
	if got.status != 200 || !strings.Contains(got.body, `"failed":true`) || strings.Count(got.body, `"hops":2,"error":""`) != 1 {
		t.Errorf("%v", got)
	}
	f = newFixture(t, func(o *Options) { o.Trace, o.Traces = nil, nil })
	if got := f.do("GET", "/v1/mesh/traces"); got.status != 200 || !strings.Contains(got.body, "no hops are kept here") {
		t.Errorf("without a store: %v", got)
	}
}

// TestWholeMeshIsNotRelayed: one question does not become many.
func TestWholeMeshIsNotRelayed(t *testing.T) {
	f, other := meshed(t)
	if got := f.do("GET", "/v1/peers/"+strings.TrimPrefix(other.URL, "http://")+"/v1/mesh/why"); got.status != 400 {
		t.Errorf("by way of a member: %v", got)
	}
	if got := f.do("GET", "/v1/mesh/why", mesh.HeaderRelay+": 1"); got.status != 508 {
		t.Errorf("a request that was relayed: %v", got)
	}
	if got := f.do("GET", "/v1/mesh/why", "Sec-Fetch-Site: cross-site"); got.status != 403 {
		t.Errorf("from a page of another site: %v", got)
	}
}

// TestLeavingAnAnswer: who leaves does not take the answer along, and when nobody waits any
// more, it is given up.
func TestLeavingAnAnswer(t *testing.T) {
	s := newShared()
	began, finish := make(chan struct{}), make(chan struct{})
	build := func(its context.Context) prepared {
		close(began)
		select {
		case <-finish:
			return prepared{200, []byte("whole")}
		case <-its.Done():
			return prepared{500, nil}
		}
	}
	leaves, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { s.get(leaves, "a", time.Hour, build) })
	<-began
	s.mu.Lock()
	s.all["a"].waiting++ // as who stays does
	s.mu.Unlock()
	leave()
	all.Wait()
	all.Go(func() {
		if got, err := s.get(t.Context(), "a", time.Hour, nil); err != nil || string(got.body) != "whole" {
			t.Errorf("%s, %v", got.body, err)
		}
	})
	close(finish)
	all.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	ended := false
	if _, err := s.get(ctx, "b", time.Hour, func(its context.Context) prepared { cancel(); <-its.Done(); ended = true; return prepared{} }); err == nil || !ended {
		t.Errorf("an answer for nobody; ended %v, error %v", ended, err)
	}
}

// TestShared: an answer is made once for all who want it, and not too many are kept.
func TestShared(t *testing.T) {
	s := newShared()
	built := 0
	build := func(text string) func(context.Context) prepared {
		return func(context.Context) prepared { built++; return prepared{200, []byte(text)} }
	}
	for range 3 {
		if got, err := s.get(t.Context(), "a", time.Hour, build("a")); err != nil || string(got.body) != "a" {
			t.Errorf("%s, %v", got.body, err)
		}
	}
	if built != 1 {
		t.Errorf("built %d times", built)
	}
	large := strings.Repeat("x", maxKept)
	for range 2 {
		if got, err := s.get(t.Context(), "large", time.Hour, build(large)); err != nil || len(got.body) != maxKept {
			t.Errorf("%d bytes, %v", len(got.body), err)
		}
	}
	if built != 3 || s.kept != 1 {
		t.Errorf("built %d times, %d bytes are kept", built, s.kept)
	}
	for range maxMesh {
		s.lane <- struct{}{}
	}
	if _, err := s.get(t.Context(), "busy", time.Hour, build("busy")); err != errBusy {
		t.Errorf("with all places taken: %v", err)
	}
}
