package why

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Parse reads a digest of another proxy, and makes sure that it harms nobody: its lists
// are cut, its texts can be shown, its numbers are possible. An error says what makes no
// sense; the digest then does not count.
func Parse(text []byte) (*Digest, error) {
	d := new(Digest)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, errors.New("its answer is no digest: " + Clean(err.Error()))
	}
	return d, d.check()
}

func (d *Digest) check() error {
	d.texts()
	if d.Service == "" {
		return errors.New("a digest without a service")
	}
	if d.Since.Year() < 1970 || d.Until.Year() > 2200 || d.Until.Before(d.Since) {
		return errors.New("a digest of an impossible time")
	}
	if d.Failures.Before(d.Since) || d.Failures.After(d.Until) {
		d.Failures = d.Since
	}
	d.Listens = d.Listens[:min(len(d.Listens), maxListens)]
	d.Counts = d.Counts[:min(len(d.Counts), MaxCounts)]
	d.Groups = d.Groups[:min(len(d.Groups), MaxGroups)]
	d.Endpoints = d.Endpoints[:min(len(d.Endpoints), MaxEndpoints)]
	d.Lost = d.Lost[:min(len(d.Lost), maxLost)]
	d.Events = d.Events[:min(len(d.Events), MaxEvents)]
	const most = 1e15
	for i := range d.Counts {
		if c := &d.Counts[i]; c.Failed > c.Requests || c.Roots > c.Requests || c.Requests > most || c.Attempts > most {
			return fmt.Errorf("a digest with impossible counts: %d of %d requests failed", c.Failed, c.Requests)
		}
	}
	left := MaxHops
	for i := range d.Groups {
		g := &d.Groups[i]
		g.Hops = g.Hops[:min(len(g.Hops), left)]
		left -= len(g.Hops)
	}
	return nil
}

// texts makes all texts such that they can be shown.
func (d *Digest) texts() {
	clean := func(all ...*string) {
		for _, s := range all {
			*s = Clean(*s)
		}
	}
	facts := func(f *Facts) { clean(&f.Direction, &f.Callee, &f.Route, &f.Method, &f.Endpoint, &f.Protocol) }
	clean(&d.Service, &d.Instance, &d.Zone)
	for i := range d.Listens {
		clean(&d.Listens[i])
	}
	for i := range d.Counts {
		facts(&d.Counts[i].Facts)
	}
	for i := range d.Groups {
		g := &d.Groups[i]
		facts(&g.Facts)
		clean(&g.Origin, &g.Service, &g.Part, &g.Kind, &g.Caller, &g.Instance, &g.Reason)
	}
	for i := range d.Endpoints {
		e := &d.Endpoints[i]
		clean(&e.Address, &e.Version, &e.Zone)
	}
	for i := range d.Lost {
		l := &d.Lost[i]
		clean(&l.Service, &l.Reason)
		l.Calls = max(l.Calls, 0)
	}
	for i := range d.Events {
		e := &d.Events[i]
		clean(&e.Service, &e.Cluster, &e.Endpoint, &e.Text)
		e.Kind, e.Count = events.Kind(Clean(string(e.Kind))), max(e.Count, 1)
	}
}

// record is a hop of a group.
type record struct {
	trace        hop.TraceID
	span, parent hop.SpanID
	start, end   int64 // microseconds of Unix time
	attempts     []hop.SpanID
	// owner and under are the trace that the call was made for, and its span.
	owner hop.TraceID
	under hop.SpanID

	group  *Group
	digest int
}

var errHop = errors.New("a hop that makes no sense")

// parse reads a string of [Group.Hops].
func (r *record) parse(s string) error {
	word := func() (w string) {
		w, s, _ = strings.Cut(s, " ")
		return w
	}
	trace, span, parent := word(), word(), word()
	start, err1 := strconv.ParseInt(word(), 10, 64)
	took, err2 := strconv.ParseInt(word(), 10, 64)
	const day = 24 * 60 * 60 * 1e6
	if err1 != nil || err2 != nil || took < 0 || took > 3650*day || start < 0 || start > 1e17 ||
		!id(r.trace[:], trace) || !id(r.span[:], span) || parent != "-" && !id(r.parent[:], parent) || r.span.IsZero() || r.trace.IsZero() {
		return errHop
	}
	r.start, r.end = start, start+took
	for s != "" && len(r.attempts) < maxAttempts {
		w := word()
		if owner, ok := strings.CutPrefix(w, "for:"); ok {
			trace, span, _ := strings.Cut(owner, ":")
			if !id(r.owner[:], trace) || !id(r.under[:], span) {
				return errHop
			}
			continue
		}
		var a hop.SpanID
		if !id(a[:], w) {
			return errHop
		}
		r.attempts = append(r.attempts, a)
	}
	return nil
}

// id reads hex digits.
func id(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}
