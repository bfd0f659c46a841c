package mesh

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// MaxTraces is how many traces a proxy lists at most.
const MaxTraces = 1000

// Query selects traces. A trace must meet every condition that is set.
type Query struct {
	// Failed selects traces with a failed hop, Slow with a slow one. Both together select
	// traces with either.
	Failed, Slow bool
	// Service selects traces with a hop of that service. They are shown as its proxies saw
	// them.
	Service string
	// Culprit selects traces whose failure that service made, or that happened on that edge,
	// such as "payments -> bank".
	Culprit string
	// Route selects traces with a hop of that route, and Flag with a hop that has that flag,
	// such as "UF".
	Route, Flag string
	// Status selects traces by the status of their first hop: "503" or "5xx".
	Status string
	// Min and Max are how long the trace took at its first hop; 0 is no limit.
	Min, Max time.Duration
	// Text selects traces with a hop that has it in its host, path, service, route or reason.
	Text string
	// Since selects traces that began at most so long ago; 0 is no limit.
	Since time.Duration
	// Limit is the maximum number of traces, from 1 to [MaxTraces].
	Limit int
}

func (q *Query) path() string {
	form := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, value := range map[string]bool{"failed": q.Failed, "slow": q.Slow} {
		if value {
			form.Set(name, "1")
		}
	}
	for name, value := range map[string]string{"service": q.Service, "route": q.Route, "culprit": q.Culprit, "flag": q.Flag, "status": q.Status, "text": q.Text} {
		if value != "" {
			form.Set(name, value)
		}
	}
	for name, value := range map[string]time.Duration{"min": q.Min, "max": q.Max, "since": q.Since} {
		if value > 0 {
			form.Set(name, value.String())
		}
	}
	return "/traces?" + form.Encode()
}

// Summary is a trace in a list. Its request and its culprit are those of the proxy that
// saw the trace first, which is the one nearest to the root.
type Summary struct {
	TraceID    string        `json:"trace_id"`
	Service    string        `json:"service"`
	Method     string        `json:"method"`
	Host       string        `json:"host"`
	Path       string        `json:"path"`
	Start      time.Time     `json:"start"`
	DurationNS time.Duration `json:"duration_ns"`
	Status     int           `json:"status"`
	GRPCStatus *int          `json:"grpc_status"`
	// Failed and Slow report whether any hop failed or was slow.
	Failed bool `json:"failed"`
	Slow   bool `json:"slow"`
	// FailedHop is the service at fault, and Reason what happened; empty if nothing failed.
	FailedHop string `json:"failed_hop"`
	Reason    string `json:"failure_reason"`
	// Culprit says more of who is at fault; nil if nothing failed.
	Culprit *Blamed `json:"culprit"`
	// Route and Flags are those of the hop that was seen first.
	Route string `json:"route"`
	Flags string `json:"flags"`
	// Hops is how many hops of the trace are known.
	Hops int `json:"hops"`
	// Next is the command that shows the trace.
	Next string `json:"next"`

	services []string // further services whose proxies know the trace
}

// Passed reports whether a service's proxy knows the trace.
func (s *Summary) Passed(service string) bool {
	return s.Service == service || slices.Contains(s.services, service)
}

// Blamed is who is at fault for a failure.
type Blamed struct {
	Service string `json:"service"`
	// Instance is the address of the instance; empty if there is none.
	Instance string `json:"instance"`
	Part     string `json:"part"`
	Kind     string `json:"kind"`
	// Edge is where it happened, such as "payments -> bank", or the service alone; Caller is
	// who met it there, empty if it is within the service.
	Edge   string `json:"edge"`
	Caller string `json:"caller"`
}

func (b *Blamed) clean() {
	if b == nil {
		return
	}
	for _, text := range []*string{&b.Service, &b.Instance, &b.Part, &b.Kind, &b.Caller} {
		*text = clean(*text)
	}
	b.Edge = (&hop.Failure{Hop: b.Service, Caller: b.Caller}).Edge()
}

// List are traces of a mesh.
type List struct {
	// Traces are merged over all proxies, the latest first.
	Traces []Summary
	// Peers are the proxies that were asked.
	Peers []Peer
}

// Traces asks every proxy for recent traces.
func (c *Client) Traces(ctx context.Context, q Query) *List {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]Summary, error) {
		answer, err := p.Get(ctx, q.path())
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		return decodeTraces(answer, q.Limit)
	})
	return &List{merge(slices.Concat(answers...), q.Limit), peers}
}

// decodeTraces reads a list of traces, at most most of them.
func decodeTraces(r io.Reader, most int) (all []Summary, err error) {
	left := 0
	n, err := decodeList(r, most, func(item []byte) {
		var t told
		if json.Unmarshal(item, &t) != nil || t.check() != nil {
			left++
			return
		}
		all = append(all, t.Summary)
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%d of the %d traces of its answer were left out: they make no sense", left, n)
	}
	return all, err
}

// told is a summary as a proxy answers it.
type told struct {
	Summary
	Template string // the learned route
}

func (t *told) check() error {
	t.Route = cmp.Or(t.Template, t.Route)
	return t.Summary.check()
}

// check refuses what no proxy would answer, and makes the texts such that a terminal can
// show them.
func (s *Summary) check() error {
	id, err := ParseID(s.TraceID)
	if err != nil {
		return err
	}
	if s.Service == "" || s.Status < 0 || s.Status > 999 || s.Hops < 1 || s.Hops > 1e9 || !plausible(s.DurationNS) || s.Start.IsZero() {
		return errors.New("a trace with impossible numbers")
	}
	s.TraceID, s.Next = id.String(), ""
	for _, text := range []*string{&s.Service, &s.Method, &s.Host, &s.Path, &s.Route, &s.Flags, &s.FailedHop, &s.Reason} {
		*text = clean(*text)
	}
	s.Culprit.clean()
	return nil
}

// edge is where the trace failed; "" if it did not.
func (s *Summary) edge() string {
	if s.Culprit != nil && s.Culprit.Service == s.FailedHop {
		return s.Culprit.Edge
	}
	return s.FailedHop
}

// merge makes one summary of those of the same trace.
func merge(all []Summary, most int) []Summary {
	slices.SortStableFunc(all, func(a, b Summary) int {
		return cmp.Or(cmp.Compare(a.TraceID, b.TraceID), a.Start.Compare(b.Start), cmp.Compare(b.DurationNS, a.DurationNS))
	})
	merged := []Summary{}
	for _, s := range all {
		last := len(merged) - 1
		if last < 0 || merged[last].TraceID != s.TraceID {
			merged = append(merged, s)
			continue
		}
		m := &merged[last]
		m.Hops += s.Hops
		if !m.Passed(s.Service) {
			m.services = append(m.services, s.Service)
		}
		m.Slow = m.Slow || s.Slow
		if s.FailedHop != "" && (m.FailedHop == "" || s.Failed && !m.Failed) {
			m.FailedHop, m.Reason, m.Culprit = s.FailedHop, s.Reason, s.Culprit
		}
		m.Failed = m.Failed || s.Failed
	}
	slices.SortStableFunc(merged, func(a, b Summary) int { return b.Start.Compare(a.Start) })
	return merged[:min(len(merged), most)]
}

// Answered is how many of the proxies gave a whole answer.
func (l *List) Answered() int { return answered(l.Peers) }

// AppendText appends three lines a trace: the request, the culprit, and the command that
// shows more.
func (l *List) AppendText(dst []byte) []byte {
	for i := range l.Traces {
		dst = l.Traces[i].appendLines(dst, "", false)
		dst = fmt.Appendf(dst, "  %s\n\n", l.Traces[i].Next)
	}
	if len(l.Traces) == 0 {
		dst = append(dst, "no traces\n"...)
	}
	return appendPeers(dst, l.Peers)
}

// AppendText appends a line about the request with its trace id, and another for the
// culprit, if there is one.
func (s *Summary) AppendText(dst []byte, color bool) []byte {
	return s.appendLines(dst, "  "+s.TraceID, color)
}

func (s *Summary) appendLines(dst []byte, id string, color bool) []byte {
	status := strconv.Itoa(s.Status)
	if s.GRPCStatus != nil {
		status = hop.GRPCStatusOf(*s.GRPCStatus).Describe()
	}
	dst = fmt.Appendf(dst, "%s  %s in %s  %s  %s %s%s%s", s.Start.UTC().Format("2006-01-02T15:04:05.000Z"), status,
		s.DurationNS.Round(100*time.Microsecond), s.Service, s.Method, s.Host, s.Path, id)
	what := ""
	switch {
	case s.FailedHop != "":
		what = "  " + s.edge() + ": " + s.Reason
	case s.Slow:
		what = "  slow"
	}
	if what != "" && color {
		what = "\x1b[31m" + what + "\x1b[0m"
	}
	if what != "" {
		dst = append(append(dst, '\n'), what...)
	}
	return append(dst, '\n')
}

// MarshalJSON writes the traces and the peers.
func (l *List) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Traces []Summary `json:"traces"`
		Notes  []string  `json:"notes"`
		Peers  []peer    `json:"peers"`
	}{list(l.Traces), []string{}, newPeers(l.Peers)})
}
