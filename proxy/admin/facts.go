package admin

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
	"github.com/hopscope/hopscope/telemetry/words"
)

// maxIndent bounds how far the tree is indented; a trace that goes around in
// circles may be of any depth.
const maxIndent = 24

// maxRows is how many rows a page has, and maxShown how many bytes it shows of a text
// from outside. A page of 200 rows has 300 KB, or a few MB if an attacker makes all texts
// long and full of characters that HTML escapes.
const (
	maxRows  = 200
	maxShown = 256
)

// shown returns the start of a text from outside.
func shown(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// waterfall makes the rows of a page, starting at row from.
type waterfall struct {
	page    *tracePage
	blamed  *diagnose.Culprit // nil if nothing is to blame
	total   time.Duration
	from, n int // the first row that is shown, and how many there are so far
}

// add appends a node and all nodes below it that are on the page.
func (f *waterfall) add(n *diagnose.Node, depth int) {
	only, children := onlyAttempt(n), n.Children
	if f.blamed != nil && (f.blamed.Node == n || only != nil && f.blamed.Node == only) {
		f.page.blamed = f.n
	}
	if f.n++; f.n > f.from && f.n <= f.from+maxRows {
		row := f.row(n, depth)
		if only != nil {
			row.Groups = append(row.Groups, group{"attempt", attemptFacts(only)})
			f.blame(&row, only)
		}
		f.page.Rows = append(f.page.Rows, row)
	}
	if only != nil {
		children = nil
		for _, c := range n.Children {
			if c.Attempt != nil {
				children = append(children, c.Children...)
			} else {
				children = append(children, c)
			}
		}
	}
	for _, c := range children {
		f.add(c, depth+1)
	}
}

// onlyAttempt returns the attempt of a hop with a single attempt; a row for it would add
// nothing.
func onlyAttempt(n *diagnose.Node) *diagnose.Node {
	if len(n.Hop.Attempts) != 1 || n.Attempt != nil {
		return nil
	}
	for _, c := range n.Children {
		if c.Attempt != nil {
			return c
		}
	}
	return nil
}

// row is the node's own line.
func (f *waterfall) row(n *diagnose.Node, depth int) spanRow {
	h, a := n.Hop, n.Attempt
	r := spanRow{Took: short(n.Duration), Indent: make([]struct{}, min(depth, maxIndent)), Class: "hop"}
	failed, code := h.Failed(), h.Status
	if a == nil {
		r.Label, r.What = h.Labels.Service, shown(method(h)+" "+h.String(h.Path))
		if h.Labels.Direction.Calls() {
			r.Label += " → " + shown(h.String(h.Host))
		}
		r.Groups = []group{{"hop", hopFacts(n)}}
	} else {
		r.Label, r.Class = "try "+a.Endpoint, "attempt"
		failed, code = a.Status >= 500 || a.ProxyError != "" || a.Flags&hop.Failures != 0, a.Status
		r.Groups = []group{{"attempt", attemptFacts(n)}}
	}
	r.Status = status(code)
	if failed {
		r.Class, r.Tone = r.Class+" failed", "bad"
	}
	width := max(100*float64(n.Duration)/float64(max(f.total, 1)), 0.4)
	start := min(100*float64(n.Start)/float64(max(f.total, 1)), 100-width)
	r.X, r.Width = fmt.Sprintf("%.2f", max(start, 0)), fmt.Sprintf("%.2f", width)
	f.blame(&r, n)
	return r
}

// blame marks the row if the node is the one to blame.
func (f *waterfall) blame(r *spanRow, n *diagnose.Node) {
	if f.blamed == nil || f.blamed.Node != n {
		return
	}
	r.Open, r.Note = true, shown(reason(f.blamed))
	r.Class += " blame"
	if f.page.Class == "slow" {
		r.Class += " late"
	}
}

// facts collects those that are there.
type facts []fact

func (f *facts) add(name, value string) {
	if value != "" {
		*f = append(*f, fact{Name: name, Value: shown(value)})
	}
}

// flags adds the flags of a set with what they mean, and what to do about them.
func (f *facts) flags(set hop.Flags) {
	if set != 0 {
		*f = append(*f, fact{"flags", flagsInWords(set), help(set)})
	}
}

// proxyError adds an error type of RFC 9209.
func (f *facts) proxyError(name string) {
	if name == "" {
		return
	}
	e, _ := words.ErrorType(name)
	*f = append(*f, fact{"proxy error", name, e.Meaning})
}

// at adds an instant of the hop, unless it was never reached.
func (f *facts) at(name string, d time.Duration) {
	if d > 0 {
		f.add(name, "after "+short(d))
	}
}

// took adds a time that passed, if it did.
func (f *facts) took(name string, d time.Duration) {
	if d > 0 {
		f.add(name, short(d))
	}
}

// hopFacts is everything that the hop knows.
func hopFacts(n *diagnose.Node) []fact {
	h, l := n.Hop, n.Hop.Labels
	var f facts
	f.add("failure", h.Failure.Reason)
	f.add("made by", cmp.Or(h.Failure.Hop, h.Failure.Origin.String()))
	if r := h.Recovered; r != nil {
		f.add("did not fail the request", r.Edge()+": "+r.Reason+" ("+short(r.Took)+")")
	}
	f.flags(h.Flags)
	f.proxyError(h.ProxyError)
	f.add("details", h.Details)
	f.add("direction", l.Direction.String())
	f.add("host", h.String(h.Host))
	f.add("query", string(redact.AppendQuery(nil, h.Bytes(h.Query))))
	f.add("rewritten path", h.String(h.RewrittenPath))
	f.add("route", l.Route)
	f.add("cluster", l.Cluster)
	f.add("listener", l.Listener)
	f.add("protocol", h.Version.String()+" "+h.Scheme)
	f.add("client", h.Client)
	if h.Peer != h.Client {
		f.add("peer", h.Peer)
	}
	f.add("user agent", h.String(h.UserAgent))
	f.add("bytes", strconv.FormatInt(h.BytesIn, 10)+" in, "+strconv.FormatInt(h.BytesOut, 10)+" out")
	f.took("waited for its turn", h.Queued)
	f.took("waited for the client to read", h.WriteBlocked)
	f.add("started", h.Start.UTC().Format(time.RFC3339Nano))
	if h.Timeout > 0 {
		f.add("timeout", short(h.Timeout))
	}
	f.at("route chosen", h.Routed)
	f.at("first byte sent", h.FirstByte)
	f.at("ended", h.End)
	f.add("request id", h.String(h.RequestID))
	f.add("span", h.ExportedSpan().String())
	if !h.Parent.IsZero() {
		f.add("parent span", h.Parent.String())
	}
	if n.Inferred {
		f.add("place", "inferred from service and time: no hop has the parent span")
	}
	f.add("tracestate", h.String(h.TraceState))
	f.add("sampled by", h.Keep.String())
	f.add("Proxy-Status of upstream", h.String(h.UpstreamHop))
	f.add("mirrored to", h.String(h.Mirrored))
	f.add("injected fault", h.String(h.Injected))
	return f
}

// attemptFacts is everything that is known of the attempt.
func attemptFacts(n *diagnose.Node) []fact {
	a := n.Attempt
	var f facts
	f.add("reason", a.Reason)
	f.add("evidence", a.Evidence)
	f.flags(a.Flags)
	f.proxyError(a.ProxyError)
	f.add("details", a.Details)
	f.add("endpoint", a.Endpoint)
	f.add("url", string(hop.AppendURL(nil, n.Hop, a)))
	f.add("cluster", a.Cluster)
	if a.Connected > 0 {
		connection := "new"
		if a.Reused {
			connection = "reused"
		}
		f.add("connection", connection+" "+a.Version.String())
	}
	if a.Cold {
		f.add("cold", "the first request to the endpoint since it came up")
	}
	f.add("status", status(a.Status))
	f.add("bytes", strconv.FormatInt(a.BytesSent, 10)+" sent, "+strconv.FormatInt(a.BytesReceived, 10)+" received")
	f.took("waited for the endpoint to read", a.WriteBlocked)
	f.at("began", a.Start)
	f.at("connected", a.Connected)
	f.at("head sent", a.Sent)
	f.at("first byte", a.FirstByte)
	f.at("ended", a.End)
	if n.Exclusive > 0 {
		f.add("its own share", short(n.Exclusive)+" of the critical path")
	}
	f.add("span", a.Span.String())
	return f
}

// flagsInWords is each flag with what it means.
func flagsInWords(set hop.Flags) string {
	var words string
	for ; set != 0; set &= set - 1 {
		if words != "" {
			words += "; "
		}
		words += set.Code() + ": " + set.Hint()
	}
	return words
}

// help is what usually causes the first flag of the set, and what to look at next.
func help(set hop.Flags) string {
	e := words.Flag(set)
	return words.Plain(e.Word + ": usual causes: " + strings.Join(e.Causes, " ") + " Look next at: " + strings.Join(e.Next, " "))
}
