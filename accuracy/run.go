package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/accuracy/fault"
	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// row is what came of one fault in one mesh, or in several.
type row struct {
	Fault    string `json:"fault"`
	Missing  string `json:"missing,omitempty"`
	Meshes   int    `json:"meshes"`
	Requests int    `json:"requests"`
	Failed   int    `json:"failed"` // of them
	// Differ is of how many the access logs say something else than the hops.
	Differ int               `json:"differ"`
	Scores map[string]*score `json:"scores"` // by view
	Misses []*miss           `json:"misses,omitempty"`
}

func newRow(f *fault.Fault) *row {
	r := &row{Fault: f.Name, Missing: f.Missing, Scores: map[string]*score{}}
	for _, v := range views {
		r.Scores[v.name] = &score{}
	}
	return r
}

// wrong is how many wrong names the views of hopscope gave.
func (r *row) wrong() (n int) {
	for _, v := range views[:4] {
		n += r.Scores[v.name].Wrong
	}
	return n
}

// miss is a verdict that is not right, and how often it was said.
type miss struct {
	View  string `json:"view"`
	Said  string `json:"said"`
	Right string `json:"right"`
	Count int    `json:"count"`
	// Example is the first of them in full, Trace all of its hops as text.
	Example string `json:"example"`
	Trace   string `json:"trace"`
}

func (r *row) miss(view string, said verdict, right fault.Truth, at fault.Place, shape string, result *mesh.Result) {
	m := miss{
		View: view, Said: strings.TrimSpace(fmt.Sprintf("%s %s %s %s", role(said.service, at), said.part, said.kind, metBy(said.caller, at))),
		Right: strings.TrimSpace(fmt.Sprintf("%s %v %v", roles(right.Services, at), right.Parts, right.Kinds)), Count: 1,
	}
	for _, known := range r.Misses {
		if known.View == m.View && known.Said == m.Said && known.Right == m.Right {
			known.Count++
			return
		}
	}
	m.Example = fmt.Sprintf("%s, %s -> %s: %.300s", shape, at.Caller, at.Target, said.text)
	m.Trace = diagnose.Build(result.Trace, result.Hops).Text()
	r.Misses = append(r.Misses, &m)
}

// role says what a service is to the fault, since names differ from mesh to mesh.
func role(service string, at fault.Place) string {
	switch {
	case service == "":
		return "nobody"
	case service == at.Target:
		return "target"
	case service == at.Caller:
		return "caller"
	case slices.Contains(at.Callers, service):
		return "another caller"
	case service == at.Other:
		return "the other fault"
	}
	return service
}

// metBy names the caller of a verdict.
func metBy(caller string, at fault.Place) string {
	if caller == "" {
		return ""
	}
	return "met by " + role(caller, at)
}

func roles(services []string, at fault.Place) string {
	var all []string
	for _, s := range services {
		all = append(all, role(s, at))
	}
	return cmp.Or(strings.Join(all, " or "), "nobody")
}

// runner injects faults into meshes.
type runner struct {
	hopscope string
	consul   string // path of the Consul program; empty without Consul
	requests int
}

// patience is the timeout of all routes for a fault that may run into none.
const patience = 30 * time.Second

// errNoPlace means that a graph has no place for a fault.
var errNoPlace = errors.New("no place for the fault")

// run injects one fault into a mesh of the graph that generate makes, and adds to the
// row what came of it.
func (x *runner) run(ctx context.Context, f *fault.Fault, r *rand.Rand, generate func() *mesh.Graph, into *row) error {
	g := generate()
	at, ok := f.Find(r, g)
	if !ok {
		return errNoPlace
	}
	if f.Graph != nil {
		f.Graph(g, at)
	}
	for _, s := range g.Services {
		if f.Patient {
			s.Timeout = patience
		}
	}
	m, err := x.start(ctx, f, g, at)
	if err != nil {
		return err
	}
	defer m.Close()
	target := &fault.Target{Mesh: m, Place: at, Context: ctx}
	if f.Inject != nil {
		if err := warm(ctx, m); err != nil && !f.Tight {
			return err
		}
		if err := f.Inject(target); err != nil {
			return err
		}
	}
	method, atOnce := f.Method, f.AtOnce
	if method == "" {
		method = "GET"
	}
	if atOnce == 0 {
		atOnce = 4
	}
	results := m.Requests(ctx, method, x.requests, atOnce)
	m.Collect(ctx, results)
	if err := ctx.Err(); err != nil {
		return err
	}
	into.Meshes++
	truth := f.Truth(at)
	if !anyFailure(results) && mustFail(f, g, at, truth) {
		return fmt.Errorf("%s -> %s: no request failed: the fault was not one", at.Caller, at.Target)
	}
	judgeAll(truth, g, at, results, into)
	return nil
}

func anyFailure(results []*mesh.Result) bool {
	return slices.ContainsFunc(results, (*mesh.Result).Failed)
}

// mustFail reports whether the root's applications let the fault through.
func mustFail(f *fault.Fault, g *mesh.Graph, at fault.Place, truth fault.Truth) bool {
	caller := ""
	if f.OnEdge {
		caller = at.Caller
	}
	return len(truth.Services) > 0 && !truth.Slow && !g.Caches() && g.FailsRoot(caller, at.Target)
}

// start runs a mesh, again if another process was faster to take a port.
func (x *runner) start(ctx context.Context, f *fault.Fault, g *mesh.Graph, at fault.Place) (*mesh.Mesh, error) {
	for try := 1; ; try++ {
		m, err := x.startOnce(ctx, f, g, at)
		if !errors.Is(err, mesh.ErrPortTaken) || try == 5 {
			return m, err
		}
	}
}

func (x *runner) startOnce(ctx context.Context, f *fault.Fault, g *mesh.Graph, at fault.Place) (m *mesh.Mesh, err error) {
	p, err := mesh.NewPlan(g)
	if err != nil {
		return nil, err
	}
	defer func() {
		if m == nil {
			p.Close()
		}
	}()
	if f.Consul {
		if x.consul == "" {
			return nil, fault.ErrCannot
		}
		agent, err := mesh.StartConsul(ctx, x.consul)
		if err != nil {
			return nil, err
		}
		p.OnClose(agent.Kill)
		if err := p.UseConsul(agent); err != nil {
			return nil, err
		}
	}
	if f.Plan != nil {
		if err := f.Plan(p, at); err != nil {
			return nil, err
		}
	}
	return mesh.Start(ctx, p, x.hopscope)
}

// warm sends requests until a few in a row have succeeded, so that there are connections
// that can die. The first ones may take long on a busy machine.
func warm(ctx context.Context, m *mesh.Mesh) error {
	const enough, most = 3, 12
	var last *mesh.Result
	for good, n := 0, 0; n < most; n++ {
		r := m.Request(ctx, "GET")
		if good++; r.Failed() {
			good, last = 0, r
		}
		if good == enough {
			return nil
		}
	}
	return fmt.Errorf("the mesh fails without a fault: status %d, %s", last.Status, last.ProxyStatus)
}

// judgeAll compares what the views say of each request with the truth.
func judgeAll(truth fault.Truth, g *mesh.Graph, at fault.Place, results []*mesh.Result, into *row) {
	for _, r := range results {
		into.Requests++
		if r.Failed() {
			into.Failed++
		}
		if hops, logs := fromHops(r, truth), fromLogs(r, truth); !hops.same(logs) {
			into.Differ++ // whoever is right
			into.miss("logs, beside all hops", logs, fault.Truth{Services: []string{hops.service}, Parts: []hop.Part{hops.part}, Kinds: []string{hops.kind}}, at, g.Shape, r)
		}
		for _, v := range views {
			if !applies(v, r, truth, at) {
				continue
			}
			said, right := v.of(r, truth), truth
			switch {
			case right.Begun && v.name == "header":
				right.Parts = nil
			case !r.Failed() && len(truth.Inner) > 0:
				right = fault.Truth{Services: truth.Inner}
			}
			s := judge(said, right)
			into.Scores[v.name].add(s)
			if s.Whole == 0 && v.name != "deepest" {
				into.miss(v.name, said, right, at, g.Shape, r)
			}
		}
	}
}

// applies reports whether the view has anything to say of the result.
func applies(v view, r *mesh.Result, truth fault.Truth, at fault.Place) bool {
	switch {
	case truth.Slow: // unless a cache kept the request from what is slow
		return !v.ofFailures && slices.ContainsFunc(r.Hops, func(h *hop.Hop) bool { return h.Slow() && callOf(at, h) })
	case len(truth.Services) == 0: // it must say nothing
		return true
	case v.name == "nearest" && len(truth.Near) == 0:
		return false
	case v.ofFailures:
		return r.Failed()
	}
	return anyFailed(r)
}

// callOf reports whether the hop is a call of the service that is at fault.
func callOf(at fault.Place, h *hop.Hop) bool {
	return h.Labels.Direction == hop.Outbound && h.Labels.Cluster == at.Target && slices.Contains(at.Callers, h.Labels.Service)
}

// anyFailed reports whether any hop of the request failed, if only within.
func anyFailed(r *mesh.Result) bool {
	if r.Failed() {
		return true
	}
	for _, h := range r.Hops {
		if h.Failed() {
			return true
		}
	}
	return false
}
