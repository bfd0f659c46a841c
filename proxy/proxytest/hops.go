package proxytest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// NewTrace returns a trace id and the field that tells the proxy of it.
func NewTrace() (trace hop.TraceID, field string) {
	binary.BigEndian.PutUint64(trace[:], rand.Uint64()|1)
	binary.BigEndian.PutUint64(trace[8:], rand.Uint64())
	return trace, "traceparent: 00-" + trace.String() + "-00f067aa0ba902b7-01\r\n"
}

// Hop is the one hop of a trace.
func (p *Proxy) Hop(trace hop.TraceID) *hop.Hop {
	p.T.Helper()
	return p.Hops(trace, 1)[0]
}

// Hops waits until there are n hops of a trace, and returns them in the order
// in which they ended.
func (p *Proxy) Hops(trace hop.TraceID, n int) []*hop.Hop {
	p.T.Helper()
	var found []*hop.Hop
	Eventually(p.T, fmt.Sprintf("%d hops of trace %s", n, trace), func() bool {
		p.FlushViews()
		found = p.Store().Trace(trace)
		return len(found) >= n
	})
	if len(found) > n {
		p.T.Fatalf("trace %s has %d hops, want %d", trace, len(found), n)
	}
	return found
}

// Traces are those that the proxy remembers, the latest first.
func (p *Proxy) Traces() []store.Summary {
	p.FlushViews()
	return p.Store().Traces(store.Query{Limit: 100_000})
}

// LatestHop waits until the proxy remembers n traces, and returns the last one's
// hop: for requests that can't name their trace.
func (p *Proxy) LatestHop(n int) *hop.Hop {
	p.T.Helper()
	var found []store.Summary
	Eventually(p.T, fmt.Sprintf("%d traces", n), func() bool {
		found = p.Traces()
		return len(found) >= n
	})
	if len(found) > n {
		p.T.Fatalf("there are %d traces, want %d", len(found), n)
	}
	return found[0].Root
}

// FlushViews returns when all that was recorded has been observed.
func (p *Proxy) FlushViews() {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		p.T.Fatal(err)
	}
}

// Settle returns when all requests have ended and been observed: a client has its
// response a moment before.
func (p *Proxy) Settle() {
	p.T.Helper()
	Eventually(p.T, "all requests ending", func() bool { return p.Scrape().Sum("hopscope_downstream_requests_active") == 0 })
	p.FlushViews()
}

// Attempts are the attempts of a Hop in short: "status" or "flags" of each.
func Attempts(h *hop.Hop) string {
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
