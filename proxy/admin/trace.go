package admin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// tracePage is what the page of a trace shows.
type tracePage struct {
	Service, ID, Title string
	Class              string // "failed", "slow" or empty
	At, Took, Count    string
	Notes              []string
	Rows               []spanRow
	More               []link // to other parts of a long waterfall
	Part               string // the part that this page shows

	blamed int // the row to blame, -1 for none
}

type link struct{ Href, Text string }

// maxNodes is how many hops and attempts of a trace are diagnosed at most; see
// [diagnose.Part].
const maxNodes = 1000

// spanRow is a line of the waterfall: a hop, with its attempt if it made only one, or one
// of several attempts. X and Width place it in the trace's time, in per cent.
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

// fact is a name and a value; Help explains the value.
type fact struct{ Name, Value, Help string }

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
	from, err := parseFrom(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "leave it out to see the trace from its start")
		return
	}
	hops, joins := a.whole(a.Trace(id))
	asText := r.URL.Query().Get("format") == "text"
	if len(hops) == 0 {
		const title, why = "No hop of this trace is known here", "It did not pass this proxy, or its hops were neither failed nor slow and had to make room."
		if asText || wantsJSON(r) {
			writeError(w, http.StatusNotFound, title, why)
			return
		}
		a.page(w, r, http.StatusNotFound, traceHTML(tracePage{
			Service: a.Service, ID: id.String(), Title: title, Notes: []string{why}, Count: "0 hops",
		}))
		return
	}
	part := diagnose.Part(hops, maxNodes)
	t, partial := diagnose.Build(id, part, joins...), ""
	if len(part) < len(hops) {
		partial = fmt.Sprintf("This is made of %d of the %d hops that are known here: those that failed or were slow, what called them, "+
			"and the first of the rest. /hops?trace=%s has all of them.", len(part), len(hops), id)
	}
	switch {
	case asText:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// An error here means that the client went away.
		_, _ = io.WriteString(w, t.Text())
		if partial != "" {
			_, _ = io.WriteString(w, "\n"+partial+"\n")
		}
	case wantsJSON(r):
		writeTrace(w, t, hops, from, partial)
	default:
		a.page(w, r, http.StatusOK, traceHTML(newTracePage(a.Service, t, hops, from, partial)))
	}
}

// verdict is a culprit in JSON.
type verdict struct {
	Text     string   `json:"text"`
	Service  string   `json:"service"`
	Part     string   `json:"part,omitempty"`
	Kind     string   `json:"kind,omitempty"`
	Caller   string   `json:"caller,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Flags    string   `json:"flags,omitempty"`
	Reason   string   `json:"reason"`
	Evidence []string `json:"evidence,omitempty"`
	SpanID   string   `json:"span_id"`
	Unseen   bool     `json:"unseen"`
	Inferred bool     `json:"inferred,omitempty"`
	Unproven bool     `json:"unproven,omitempty"`
	TookNS   int64    `json:"took_ns,omitempty"`
	Calls    int      `json:"calls,omitempty"`
}

func newVerdict(c *diagnose.Culprit) *verdict {
	if c == nil {
		return nil
	}
	return &verdict{c.String(), c.Service, c.Part.String(), c.Kind, c.Caller, c.Endpoint, c.Flags.String(), c.Reason, c.Evidence,
		spanOf(c.Node).String(), c.Unseen, c.Inferred, c.Unproven, int64(c.Took), c.Calls}
}

func spanOf(n *diagnose.Node) hop.SpanID {
	if n.Attempt != nil {
		return n.Attempt.Span
	}
	return n.Hop.Span
}

// writeTrace answers with the diagnosis and the hops of a trace, starting at from, and
// with a link to the hops that do not fit.
func writeTrace(w http.ResponseWriter, t *diagnose.Trace, hops []*hop.Hop, from int, partial string) {
	part, next := window(hops, from)
	out := struct {
		TraceID string   `json:"trace_id"`
		Slow    bool     `json:"slow"`
		Culprit *verdict `json:"culprit,omitempty"`
		Inner   *verdict `json:"inner,omitempty"`
		Slowest *verdict `json:"slowest,omitempty"`
		Breaks  []string `json:"breaks,omitempty"`
		Partial string   `json:"partial,omitempty"`
		Total   int      `json:"hops_total"`
		Next    string   `json:"next,omitempty"`
	}{TraceID: t.ID.String(), Slow: anySlow(hops), Culprit: newVerdict(t.Culprit), Inner: newVerdict(t.Inner), Slowest: newVerdict(t.Slowest), Partial: partial, Total: len(hops)}
	if next > 0 {
		out.Next = fmt.Sprintf("/traces/%s?format=json&from=%d", t.ID, next)
	}
	for _, b := range t.Breaks {
		out.Breaks = append(out.Breaks, b.String())
	}
	var head bytes.Buffer
	_ = encoder(&head, "").Encode(out) // its strings always encode
	w.Header().Set("Content-Type", "application/json")
	l := newListWriter(w, "  ")
	l.to.Write(bytes.TrimSuffix(head.Bytes(), []byte("\n}\n")))
	l.to.WriteString(",\n  \"hops\": ")
	for i := 0; i < len(part) && l.add(part[i]); i++ {
	}
	l.end("\n}\n")
}

func anySlow(hops []*hop.Hop) bool {
	for _, h := range hops {
		if h.Slow() {
			return true
		}
	}
	return false
}

// newTracePage makes the page of a trace: first what is to blame, then the waterfall,
// starting at row from. partial says that the trace has more hops than t has.
func newTracePage(service string, t *diagnose.Trace, hops []*hop.Hop, from int, partial string) tracePage {
	slow := anySlow(hops) && t.Slowest != nil
	p := tracePage{Service: service, ID: t.ID.String(), Title: "Nothing failed", Count: strconv.Itoa(t.Hops) + " hops", blamed: -1}
	if t.Hops == 1 {
		p.Count = "1 hop"
	}
	if partial != "" {
		p.Notes = append(p.Notes, partial)
	}
	var blamed *diagnose.Culprit
	switch {
	case t.Culprit != nil:
		p.Class, p.Title, blamed = "failed", shown(edge(t.Culprit)+": "+reason(t.Culprit)), t.Culprit
		if t.Culprit.Unproven {
			p.Title = "The trace ends at " + p.Title
		}
		if t.Culprit.Flags != 0 {
			p.Notes = append(p.Notes, flagsInWords(t.Culprit.Flags))
		}
		if slow {
			p.Notes = append(p.Notes, "Most of its time: "+shown(edge(t.Slowest)+", "+t.Slowest.Reason))
		}
	case slow:
		p.Class, p.Title, blamed = "slow", shown(edge(t.Slowest)+": "+reason(t.Slowest)), t.Slowest
	case t.Inner != nil:
		p.Title, blamed = "Nothing failed the request", t.Inner
	}
	if blamed != nil {
		for _, line := range blamed.Evidence {
			p.Notes = append(p.Notes, shown(line))
		}
	}
	if blamed != nil && blamed.Flags != 0 {
		p.Notes = append(p.Notes, help(blamed.Flags))
	}
	if t.Inner != nil {
		p.Notes = append(p.Notes, "Did not fail the request: "+shown(edge(t.Inner)+": "+reason(t.Inner)))
	}
	for _, b := range t.Breaks {
		p.Notes = append(p.Notes, "Cut at "+b.String())
	}
	if len(t.Roots) > 0 {
		p.At = t.Roots[0].Hop.Start.UTC().Format(time.RFC3339Nano)
		p.Took = short(t.Roots[0].Duration)
	}
	f := waterfall{page: &p, blamed: blamed, from: from}
	for _, root := range t.Roots {
		f.total = max(f.total, end(root))
	}
	for _, root := range t.Roots {
		f.add(root, 0)
	}
	p.turn(from, f.n)
	return p
}

// turn says which of the n rows the page shows, and links to the others.
func (p *tracePage) turn(from, n int) {
	if n <= maxRows && from == 0 {
		return
	}
	to := func(row int, text string) {
		p.More = append(p.More, link{"?from=" + strconv.Itoa(row), text})
	}
	p.Part = fmt.Sprintf("lines %d to %d of %d", min(from+1, n), min(from+maxRows, n), n)
	if from > 0 {
		to(max(from-maxRows, 0), "before")
	}
	if left := n - from - maxRows; left > 0 {
		to(from+maxRows, fmt.Sprintf("%d more", left))
	}
	if p.blamed >= 0 && (p.blamed < from || p.blamed >= from+maxRows) {
		to(p.blamed/maxRows*maxRows, "the one to blame")
	}
}

// end returns when the node and all nodes below it had ended.
func end(n *diagnose.Node) time.Duration {
	last := n.Start + n.Duration
	for _, c := range n.Children {
		last = max(last, end(c))
	}
	return last
}

// whole adds to the hops of a trace those of the traces that it was broken into, as far as
// that is known here.
func (a *api) whole(hops []*hop.Hop) ([]*hop.Hop, []diagnose.Join) {
	if a.Strays == nil || len(hops) == 0 {
		return hops, nil
	}
	calls, joins := a.Strays(hops)
	all, added := slices.Concat(hops, calls), map[hop.TraceID]bool{}
	for _, j := range joins {
		if id := j.Call.Trace; !added[id] {
			added[id] = true
			for _, h := range a.Trace(id) {
				if !slices.Contains(calls, h) {
					all = append(all, h)
				}
			}
		}
	}
	return all, joins
}
