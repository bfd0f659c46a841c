package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

const (
	// lookEvery is the time between two looks for new traces, settle the
	// time after its end from which a trace is taken to be complete.
	lookEvery = 250 * time.Millisecond
	settle    = 200 * time.Millisecond
	// window is how far back a look goes: longer than any request takes.
	window = 30 * time.Second
	// blockEvery is the least time between two traces that are drawn.
	blockEvery = 4 * time.Second
	// summaryEvery is the time between two summaries.
	summaryEvery = 15 * time.Second
)

// report finds the failing and the slow traces and prints what it found. It is
// used by one goroutine.
type report struct {
	out    io.Writer
	traces traces
	admin  string // URL
	color  bool

	seen          map[hop.TraceID]time.Time
	failing, slow map[string]tally
	lastBlock     time.Time
	unshown       [2]int // failed and slow traces since the last block
}

// tally is how often a culprit was found, and the longest that it took.
type tally struct {
	count int
	took  time.Duration
}

func newReport(out io.Writer, t traces, admin string, color bool) *report {
	return &report{
		out: out, traces: t, admin: admin, color: color,
		seen: map[hop.TraceID]time.Time{}, failing: map[string]tally{}, slow: map[string]tally{},
	}
}

// look finds the traces that are new and ended before the given instant, and
// draws the first of them unless one has just been drawn.
func (r *report) look(now, ended time.Time) {
	list := r.traces.list(store.Query{Failed: true, Slow: true, Since: now.Add(-window)})
	for _, part := range slices.Backward(list) {
		if _, old := r.seen[part.Trace]; old {
			continue
		}
		s := r.traces.whole(part)
		if l := s.Root.Labels; l.Service != entry || l.Direction != hop.Inbound || s.Start.Add(s.Duration).After(ended) {
			continue // it is on its way still
		}
		r.seen[s.Trace] = now
		r.take(diagnose.Build(s.Trace, r.traces.trace(s.Trace)), s, now)
	}
	maps.DeleteFunc(r.seen, func(_ hop.TraceID, at time.Time) bool { return now.Sub(at) > 2*window })
}

// take counts a trace by its culprit, and draws it if it is time.
func (r *report) take(t *diagnose.Trace, s store.Summary, now time.Time) {
	var title string
	kind := 0
	if s.Slow && t.Slowest != nil {
		title, kind = "SLOW    "+t.Slowest.Service+", "+t.Slowest.Reason, 1
		count(r.slow, t.Slowest.Service, t.Slowest.Took)
	}
	if t.Culprit != nil {
		title, kind = "FAILED  "+blame(t.Culprit), 0
		count(r.failing, blame(t.Culprit), 0)
	}
	if title == "" {
		return // a failure that was made good
	}
	if now.Sub(r.lastBlock) < blockEvery {
		r.unshown[kind]++
		return
	}
	r.lastBlock = now
	fmt.Fprintln(r.out, title)
	drawing := t.AppendText(nil, diagnose.TextOptions{Color: r.color})
	for line := range strings.Lines(string(drawing)) {
		fmt.Fprint(r.out, strings.TrimRight("  "+line, " \n"), "\n")
	}
	fmt.Fprintf(r.out, "  %straces/%s\n", r.admin, t.ID)
	if r.unshown != [2]int{} {
		fmt.Fprintf(r.out, "  (since the last one drawn: %d more failed, %d more slow)\n", r.unshown[0], r.unshown[1])
	}
	fmt.Fprintln(r.out)
	r.unshown = [2]int{}
}

func count(tallies map[string]tally, name string, took time.Duration) {
	t := tallies[name]
	tallies[name] = tally{t.count + 1, max(t.took, took)}
}

// blame is the culprit by the names of the graph and without addresses, the
// same for every trace that failed so: "payments -> bank (connection refused)".
func blame(c *diagnose.Culprit) string {
	reason := c.Reason
	if a := c.Node.Attempt; a != nil {
		reason = cmp.Or(strings.ReplaceAll(a.ProxyError, "_", " "), reason)
	}
	return fmt.Sprintf("%s (%s)", c.Edge(), reason)
}

// summary prints what was found so far, the most frequent first.
func (r *report) summary(requests int64, after time.Duration) {
	fmt.Fprintf(r.out, "After %v: %d requests\n", after.Round(time.Second), requests)
	line := func(what string, name string, t tally) {
		took := ""
		if t.took > 0 {
			took = fmt.Sprintf(" (up to %.1f s)", t.took.Seconds())
		}
		fmt.Fprintf(r.out, "  %-13s%s%s, %d of %d requests\n", what, name, took, t.count, requests)
	}
	for _, name := range frequent(r.failing) {
		line("failing hop:", name, r.failing[name])
	}
	for _, name := range frequent(r.slow) {
		line("slow hop:", name, r.slow[name])
	}
	if len(r.failing)+len(r.slow) == 0 {
		fmt.Fprintln(r.out, "  no request failed or was slow")
	}
	fmt.Fprintln(r.out)
}

// frequent is the names by their count, the most frequent first.
func frequent(tallies map[string]tally) []string {
	return slices.SortedFunc(maps.Keys(tallies), func(a, b string) int {
		return cmp.Or(cmp.Compare(tallies[b].count, tallies[a].count), cmp.Compare(a, b))
	})
}
