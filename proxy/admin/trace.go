package admin

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// tracePage is what the trace template shows.
type tracePage struct {
	Service, ID, Title string
	Class              string // "failed", "slow" or empty
	At, Took, Count    string
	Notes              []string
	Rows               []spanRow
}

// spanRow is a line of the waterfall: a hop, with its attempt where there was
// one only, or one of several attempts. X and Width place it in the trace's
// time, in per cent.
type spanRow struct {
	Label, What  string
	Class, Tone  string
	Took, Status string
	Note         string
	X, Width     string
	Indent       []struct{}
	Open         bool
	Groups       []group
}

// group is the facts of a hop or of an attempt.
type group struct {
	Name  string
	Facts []fact
}

type fact struct{ Name, Value string }

// trace answers /traces/ID as a page, as JSON or as text.
func (a *api) trace(w http.ResponseWriter, r *http.Request) {
	if !a.kept(w) {
		return
	}
	id, ok := parseTrace(r.PathValue("id"))
	if !ok {
		badTrace(w, r.PathValue("id"), "/traces/ID")
		return
	}
	hops := a.Trace(id)
	asText := r.URL.Query().Get("format") == "text"
	if len(hops) == 0 {
		const title, why = "No hop of this trace is known here", "It did not pass this proxy, or its hops were neither failed nor slow and had to make room."
		if asText || wantsJSON(r) {
			writeError(w, http.StatusNotFound, title, why)
			return
		}
		a.page(w, http.StatusNotFound, "trace", tracePage{
			Service: a.Service, ID: id.String(), Title: title, Notes: []string{why}, Count: "0 hops",
		})
		return
	}
	t := diagnose.Build(id, hops)
	switch {
	case asText:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// An error here means that the client went away.
		_, _ = io.WriteString(w, t.Text())
	case wantsJSON(r):
		writeJSON(w, http.StatusOK, traceJSON(t, hops))
	default:
		a.page(w, http.StatusOK, "trace", newTracePage(a.Service, t, hops))
	}
}

// verdict is a culprit in JSON.
type verdict struct {
	Text     string `json:"text"`
	Service  string `json:"service"`
	Endpoint string `json:"endpoint,omitempty"`
	Edge     bool   `json:"edge"`
	Flags    string `json:"flags,omitempty"`
	Reason   string `json:"reason"`
	SpanID   string `json:"span_id"`
	Unseen   bool   `json:"unseen"`
	TookNS   int64  `json:"took_ns,omitempty"`
}

func newVerdict(c *diagnose.Culprit) *verdict {
	if c == nil {
		return nil
	}
	return &verdict{c.String(), c.Service, c.Endpoint, c.Edge, c.Flags.String(), c.Reason,
		spanOf(c.Node).String(), c.Unseen, int64(c.Took)}
}

func spanOf(n *diagnose.Node) hop.SpanID {
	if n.Attempt != nil {
		return n.Attempt.Span
	}
	return n.Hop.Span
}

// traceJSON is the diagnosis and the hops that it was made from.
func traceJSON(t *diagnose.Trace, hops []*hop.Hop) any {
	out := struct {
		TraceID string     `json:"trace_id"`
		Slow    bool       `json:"slow"`
		Culprit *verdict   `json:"culprit,omitempty"`
		Slowest *verdict   `json:"slowest,omitempty"`
		Breaks  []string   `json:"breaks,omitempty"`
		Hops    []*hop.Hop `json:"hops"`
	}{t.ID.String(), anySlow(hops), newVerdict(t.Culprit), newVerdict(t.Slowest), nil, hops}
	for _, b := range t.Breaks {
		out.Breaks = append(out.Breaks, b.String())
	}
	return out
}

func anySlow(hops []*hop.Hop) bool {
	for _, h := range hops {
		if h.Slow() {
			return true
		}
	}
	return false
}

// newTracePage makes the page of a trace: first what is to blame, then the
// waterfall.
func newTracePage(service string, t *diagnose.Trace, hops []*hop.Hop) tracePage {
	slow := anySlow(hops) && t.Slowest != nil
	p := tracePage{Service: service, ID: t.ID.String(), Title: "Nothing failed", Count: strconv.Itoa(t.Hops) + " hops"}
	if t.Hops == 1 {
		p.Count = "1 hop"
	}
	var blamed *diagnose.Culprit
	switch {
	case t.Culprit != nil:
		p.Class, p.Title, blamed = "failed", edge(t.Culprit)+": "+reason(t.Culprit), t.Culprit
		if t.Culprit.Flags != 0 {
			p.Notes = append(p.Notes, flagsInWords(t.Culprit.Flags))
		}
		if slow {
			p.Notes = append(p.Notes, "Most of its time: "+edge(t.Slowest)+", "+t.Slowest.Reason)
		}
	case slow:
		p.Class, p.Title, blamed = "slow", edge(t.Slowest)+": "+reason(t.Slowest), t.Slowest
	}
	for _, b := range t.Breaks {
		p.Notes = append(p.Notes, "Cut at "+b.String())
	}
	if len(t.Roots) > 0 {
		p.At = t.Roots[0].Hop.Start.UTC().Format(time.RFC3339Nano)
		p.Took = short(t.Roots[0].Duration)
	}
	f := waterfall{page: &p, blamed: blamed}
	for _, root := range t.Roots {
		f.total = max(f.total, end(root))
	}
	for _, root := range t.Roots {
		f.add(root, 0)
	}
	return p
}

// end is when the last of the node and all below it ended.
func end(n *diagnose.Node) time.Duration {
	last := n.Start + n.Duration
	for _, c := range n.Children {
		last = max(last, end(c))
	}
	return last
}
