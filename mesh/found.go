package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxNodes is how many hops and attempts of a trace are diagnosed at most; see
// [diagnose.Part].
const maxNodes = 1000

// Found is what is known of a trace.
type Found struct {
	*diagnose.Trace
	// Known are all hops of the trace, without repetitions, the earliest first.
	Known []*hop.Hop
	// Peers are the proxies that were asked; none if the hops are from logs.
	Peers []Peer
	// Notes say what is missing, a sentence each.
	Notes []string
}

// Assemble puts a trace together from hops, which may repeat.
func Assemble(id hop.TraceID, hops []*hop.Hop, peers []Peer, notes ...string) *Found {
	return assemble(id, hops, nil, peers, notes...)
}

// assemble does the same for a trace that was broken. hops may be of other traces then:
// those that joins lead to, and calls that show who broke it.
func assemble(id hop.TraceID, hops []*hop.Hop, joins []diagnose.Join, peers []Peer, notes ...string) *Found {
	all := distinct(hops)
	f := &Found{Peers: peers, Notes: notes}
	joined := map[hop.TraceID]bool{id: true}
	for _, j := range joins {
		joined[j.Call.Trace] = true
	}
	for _, h := range all {
		if joined[h.Trace] {
			f.Known = append(f.Known, h)
		}
	}
	if !slices.ContainsFunc(f.Known, func(h *hop.Hop) bool { return h.Trace == id }) {
		f.Known = nil
	}
	part := diagnose.Part(all, maxNodes)
	if len(part) < len(all) {
		f.Notes = append(f.Notes, fmt.Sprintf("this is made of %d of the %d hops that are known: those that failed or were slow, what called them, and the first of the rest",
			len(part), len(all)))
	}
	f.Trace = diagnose.Build(id, part, joins...)
	return f
}

// Failed reports whether the request of the trace failed.
func (f *Found) Failed() bool { return f.Culprit != nil }

// distinct returns one hop for each span id: the one with the most attempts.
func distinct(hops []*hop.Hop) []*hop.Hop {
	place := make(map[hop.SpanID]int, len(hops))
	var all []*hop.Hop
	for _, h := range hops {
		i, known := place[h.Span]
		switch {
		case !known:
			place[h.Span] = len(all)
			all = append(all, h)
		case len(h.Attempts) > len(all[i].Attempts):
			all[i] = h
		}
	}
	slices.SortStableFunc(all, func(a, b *hop.Hop) int { return a.Start.Compare(b.Start) })
	return all
}

// Answered is how many of the proxies gave a whole answer.
func (f *Found) Answered() int { return answered(f.Peers) }

func answered(peers []Peer) (n int) {
	for _, p := range peers {
		if p.Err == nil {
			n++
		}
	}
	return n
}

// AppendText appends the verdict, the waterfall, and what is missing.
func (f *Found) AppendText(dst []byte, o diagnose.TextOptions) []byte {
	if len(f.Known) > 0 {
		dst = append(f.Trace.AppendText(dst, o), '\n')
	}
	for _, note := range f.Notes {
		dst = fmt.Appendf(dst, "note: %s\n", note)
	}
	return appendPeers(dst, f.Peers)
}

// appendPeers says which proxies did not answer, and why.
func appendPeers(dst []byte, peers []Peer) []byte {
	whole := answered(peers)
	proxies := "proxies"
	if len(peers) == 1 {
		proxies = "proxy"
	}
	switch {
	case len(peers) == 0:
		return dst
	case whole == len(peers):
		return fmt.Appendf(dst, "%d %s answered\n", len(peers), proxies)
	}
	dst = fmt.Appendf(dst, "%d of %d %s answered; not, or not all, from:\n", whole, len(peers), proxies)
	for _, p := range peers {
		if p.Err == nil {
			continue
		}
		dst = append(dst, "  "+p.Address...)
		if p.Service != "" {
			dst = append(dst, " ("+p.Service+")"...)
		}
		dst = fmt.Appendf(dst, ": %s\n", p.Err)
	}
	return dst
}

// report is a trace in JSON. docs/operations.md says what each key means.
type report struct {
	TraceID  string     `json:"trace_id"`
	Failed   bool       `json:"failed"`
	Slow     bool       `json:"slow"`
	Verdict  string     `json:"verdict"`
	Culprit  *culprit   `json:"culprit"`
	Reason   string     `json:"reason"`
	Evidence []string   `json:"evidence"`
	Inner    *culprit   `json:"inner"`
	Slowest  *culprit   `json:"slowest"`
	Breaks   []string   `json:"breaks"`
	Notes    []string   `json:"notes"`
	Hops     []*hop.Hop `json:"hops"`
	Peers    []peer     `json:"peers"`
}

// culprit is who made a trace fail, or slow.
type culprit struct {
	Service  string   `json:"service"`
	Instance string   `json:"instance"`
	Part     string   `json:"part"`
	Kind     string   `json:"kind"`
	Edge     string   `json:"edge"`
	Caller   string   `json:"caller"`
	Flags    string   `json:"flags"`
	Reason   string   `json:"reason"`
	Evidence []string `json:"evidence"`
	SpanID   string   `json:"span_id"`
	TookNS   int64    `json:"took_ns"`
	Unseen   bool     `json:"unseen"`
	Inferred bool     `json:"inferred"`
	Unproven bool     `json:"unproven"`
}

type peer struct {
	Address  string `json:"address"`
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Hops     int    `json:"hops"`
	Error    string `json:"error"`
}

// MarshalJSON writes the trace with every key of its schema.
func (f *Found) MarshalJSON() ([]byte, error) {
	r := report{
		TraceID: f.ID.String(), Failed: f.Failed(), Verdict: "nothing failed",
		Slow:    slices.ContainsFunc(f.Known, (*hop.Hop).Slow),
		Culprit: newCulprit(f.Culprit), Inner: newCulprit(f.Inner), Slowest: newCulprit(f.Slowest),
		Evidence: []string{}, Breaks: []string{}, Notes: list(f.Notes), Hops: list(f.Known), Peers: newPeers(f.Peers),
	}
	switch {
	case r.Culprit != nil:
		r.Verdict, r.Reason, r.Evidence = f.Culprit.String(), r.Culprit.Reason, r.Culprit.Evidence
	case len(f.Known) == 0:
		r.Verdict = "no hop of this trace is known"
	}
	for _, b := range f.Breaks {
		r.Breaks = append(r.Breaks, b.String())
	}
	return marshal(&r)
}

// marshal writes JSON that is not for HTML, so that an edge such as "web -> bank" can be
// read.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func newCulprit(c *diagnose.Culprit) *culprit {
	if c == nil {
		return nil
	}
	span := c.Node.Hop.Span
	if c.Node.Attempt != nil {
		span = c.Node.Attempt.Span
	}
	return &culprit{
		c.Service, c.Endpoint, c.Part.String(), c.Kind, c.Edge(), c.Caller, c.Flags.String(), c.Reason, list(c.Evidence),
		span.String(), int64(c.Took), c.Unseen, c.Inferred, c.Unproven,
	}
}

func newPeers(peers []Peer) []peer {
	all := make([]peer, 0, len(peers))
	for _, p := range peers {
		text := ""
		if p.Err != nil {
			text = p.Err.Error()
		}
		all = append(all, peer{p.Address, p.Service, p.Instance, p.Hops, text})
	}
	return all
}

// PeersJSON is the list of proxies that were asked, as it is in every answer.
func PeersJSON(peers []Peer) []byte {
	text, _ := marshal(newPeers(peers)) // strings and numbers always encode
	return text
}

// list returns an empty list for none, which JSON writes as [].
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
