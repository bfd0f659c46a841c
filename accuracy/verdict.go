package main

import (
	"bytes"
	"slices"

	"github.com/hopscope/hopscope/accuracy/fault"
	"github.com/hopscope/hopscope/accuracy/mesh"
	live "github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// verdict is who is at fault by one view; the zero value blames nobody.
type verdict struct {
	service string
	part    hop.Part
	kind    string
	caller  string // who met it
	text    string // for a person
}

// same reports whether both blame the same, in whatever words.
func (v verdict) same(w verdict) bool {
	v.text, w.text = "", ""
	return v == w
}

// view is a way to a verdict.
type view struct {
	name string
	// ofFailures is true if the view sees only failures: it says nothing of a slow trace,
	// nor of a failure that the root's response does not show.
	ofFailures bool
	of         func(*mesh.Result, fault.Truth) verdict
}

// views are the columns of the table.
var views = []view{
	{"header", true, fromHeader},
	{"nearest", true, fromNearest},
	{"all hops", false, fromHops},
	{"logs", false, fromLogs},
	{"deepest", false, fromDeepest},
}

func ofFailure(f hop.Failure) verdict {
	return verdict{f.Hop, f.Part, f.Kind, f.Caller, f.Edge() + ": " + f.Reason}
}

// fromHeader reads the Proxy-Status of the root's response.
func fromHeader(r *mesh.Result, _ fault.Truth) verdict {
	members, _ := headers.ParseProxyStatus(r.ProxyStatus)
	f, ok := headers.Failure(members)
	if !ok {
		return verdict{}
	}
	return ofFailure(f)
}

// fromNearest asks the proxy that is nearest to the fault for its last failed hop.
func fromNearest(r *mesh.Result, truth fault.Truth) verdict {
	var last *hop.Hop
	for _, h := range r.Hops {
		if o := h.Failure.Origin; o != hop.OriginNone && o != hop.OriginDownstream && h.Labels.Direction == truth.Direction &&
			slices.Contains(truth.Near, h.Labels.Service) && (last == nil || h.Start.After(last.Start)) {
			last = h
		}
	}
	if last == nil {
		return verdict{}
	}
	return ofFailure(last.Failure)
}

// fromHops puts all hops together.
func fromHops(r *mesh.Result, truth fault.Truth) verdict {
	return fromTrace(diagnose.Build(r.Trace, r.Hops), truth)
}

// fromLogs puts the lines of all access logs together, as hopscope trace --logs does.
func fromLogs(r *mesh.Result, truth fault.Truth) verdict {
	var logs live.Logs
	if err := logs.Read("logs", bytes.NewReader(r.Log), r.Trace); err != nil {
		return verdict{text: err.Error()}
	}
	return fromTrace(logs.Assemble(r.Trace).Trace, truth)
}

// fromTrace is the verdict of a trace. If something has to be blamed, a failure that an
// application recovered from counts, too.
func fromTrace(t *diagnose.Trace, truth fault.Truth) verdict {
	c := t.Culprit
	switch {
	case truth.Slow:
		c = t.Slowest
	case c == nil && len(truth.Services) > 0:
		c = t.Inner // an application went on without it
	}
	if c == nil || c.Unproven {
		return verdict{}
	}
	return verdict{c.Service, c.Part, c.Kind, c.Caller, c.String()}
}

// fromDeepest is the simple rule: the deepest hop that ended with an error. Of a slow
// trace, it is the deepest slow one.
func fromDeepest(r *mesh.Result, truth fault.Truth) verdict {
	var deepest *diagnose.Node
	most := -1
	var walk func(n *diagnose.Node, depth int)
	walk = func(n *diagnose.Node, depth int) {
		bad := n.Hop.Failed()
		if truth.Slow {
			bad = n.Hop.Slow()
		}
		if n.Attempt == nil && bad && depth > most {
			deepest, most = n, depth
		}
		for _, c := range n.Children {
			walk(c, depth+1)
		}
	}
	for _, root := range diagnose.Build(r.Trace, r.Hops).Roots {
		walk(root, 0)
	}
	if deepest == nil {
		return verdict{}
	}
	return verdict{service: deepest.Hop.Labels.Service, text: deepest.Hop.Labels.Direction.String() + " hop of " + deepest.Hop.Labels.Service}
}

// score counts verdicts.
type score struct {
	N     int `json:"n"`
	Name  int `json:"right_name"`
	Whole int `json:"right_kind_and_part"`
	Wrong int `json:"wrong_name"`
	None  int `json:"none"`
}

func (s *score) add(t score) {
	s.N, s.Name, s.Whole, s.Wrong, s.None = s.N+t.N, s.Name+t.Name, s.Whole+t.Whole, s.Wrong+t.Wrong, s.None+t.None
}

// judge compares a verdict with the truth.
func judge(v verdict, t fault.Truth) score {
	s := score{N: 1}
	switch {
	case len(t.Services) == 0 && v.service == "":
		s.Name, s.Whole = 1, 1
	case v.service == "":
		s.None = 1
	case !slices.Contains(t.Services, v.service):
		s.Wrong = 1
	default:
		s.Name = 1
		if oneOf(t.Parts, v.part) && oneOf(t.Kinds, v.kind) && (v.service != t.Services[0] || oneOf(t.Callers, v.caller)) {
			s.Whole = 1
		}
	}
	return s
}

// oneOf reports whether v is among those that are right; without any, all are.
func oneOf[T comparable](right []T, v T) bool { return len(right) == 0 || slices.Contains(right, v) }
