package snapshot

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	policy "github.com/hopscope/hopscope/proxy/guard"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// guarded is a route whose canary is watched, in one generation. The guard itself is that
// of the generation before, if the route is the same there.
type guarded struct {
	*policy.Guard
	listener string
	route    *resources.Route
	canary   *resources.Target
	labels   []*hop.Labels // of the targets, in their order
}

// side is the side that a target is on.
func (w *guarded) side(i int) policy.Side {
	if &w.route.Targets[i] == w.canary {
		return policy.Canary
	}
	return policy.Stable
}

// hold has a route's canary watched, if the route has a guard.
func (g *generation) hold(lc *config.Listener, r *resources.Route, targets []forward.Target) *forward.Held {
	if r.Guard == nil || len(r.Targets) == 0 {
		return nil
	}
	i := slices.IndexFunc(r.Targets, func(t resources.Target) bool { return t.Variant == r.Guard.Canary })
	w := &guarded{listener: lc.Name, route: r, canary: &r.Targets[i]}
	for k := range targets {
		w.labels = append(w.labels, targets[k].Labels)
	}
	if before := g.before.guardOf(w); before != nil {
		w.Guard = before
	} else {
		w.Guard = policy.New(policy.Options{
			MinRequests: r.Guard.MinRequests, MaxErrorRate: r.Guard.MaxErrorRateOverStable, MaxP99: r.Guard.MaxP99OverStable, Window: r.Guard.Window,
		})
	}
	g.guards = append(g.guards, w)
	return &forward.Held{Target: i, Weight: uint32(r.Guard.Then), Back: w.Tripped}
}

// guardOf is the guard of the same route with the same targets; nil if there is none.
func (g *generation) guardOf(w *guarded) *policy.Guard {
	if g == nil {
		return nil
	}
	for _, old := range g.guards {
		if old.listener == w.listener && old.route.Name == w.route.Name && *old.route.Guard == *w.route.Guard && slices.EqualFunc(old.route.Targets, w.route.Targets, alike) {
			return old.Guard
		}
	}
	return nil
}

// alike reports whether a target has the same share as before.
func alike(a, b resources.Target) bool {
	return a.Cluster == b.Cluster && a.Variant == b.Variant && a.Weight == b.Weight
}

// watcher is the view that tells guards how requests ended.
type watcher struct {
	proxy *Proxy
	of    atomic.Pointer[map[*hop.Labels]watched] // of all generations that have not drained
}

// watched is a target of a route with a guard.
type watched struct {
	*guarded
	side policy.Side
}

// watch has the guards of all generations told. The caller holds Proxy.mu.
func (p *Proxy) watch() {
	of := map[*hop.Labels]watched{}
	for _, g := range p.live {
		for _, w := range g.guards {
			for i, l := range w.labels {
				of[l] = watched{w, w.side(i)}
			}
		}
	}
	p.watcher.of.Store(&of)
}

// Name is its name in metrics and logs.
func (v *watcher) Name() string { return "guards" }

// Tick does nothing: the guards are told at once.
func (v *watcher) Tick(time.Time) {}

// Close does nothing.
func (v *watcher) Close(context.Context) error { return nil }

// Observe tells a guard how a request ended. What ends when its client likes says nothing.
func (v *watcher) Observe(h *hop.Hop) {
	of := v.of.Load()
	if of == nil || len(*of) == 0 {
		return
	}
	w, ok := (*of)[h.Labels]
	if !ok || h.Kind != hop.KindRequest || h.Flags&(hop.DownstreamClosed|hop.DownstreamReset) != 0 {
		return
	}
	if verdict := w.Guard.Observe(h.Start.Add(h.End), w.side, policy.Result{Failed: h.Failed(), Took: h.End}); verdict != nil {
		v.proxy.heldBack(w.guarded, verdict)
	}
}

// heldBack says that a canary was taken back.
func (p *Proxy) heldBack(w *guarded, v *policy.Verdict) {
	name, canary := w.route.Name, w.canary
	p.options.Log.Warn("the canary of a route is worse, and was taken back", "route", name, "listener", w.listener, "canary", canary.Variant,
		"cluster", canary.Cluster.Name, "weight", w.route.Guard.Then, "before", canary.Weight, "reason", v.Reason)
	p.note(events.GuardTripped, canary.Cluster.Name, "", fmt.Sprintf("the canary %s of route %s has weight %d now, in place of %d: %s", canary.Variant, name, w.route.Guard.Then, canary.Weight, v.Reason))
}

// resetGuards resets the guards of the routes of a name. It fails if there is none.
func (p *Proxy) resetGuards(route string) error {
	found := false
	for _, w := range p.current.Load().guards {
		if w.route.Name != route {
			continue
		}
		found = true
		if w.Reset() {
			p.note(events.GuardReset, w.canary.Cluster.Name, "", fmt.Sprintf("the canary %s of route %s has its weight %d again", w.canary.Variant, route, w.canary.Weight))
		}
	}
	if !found {
		return fmt.Errorf("no route %s has a guard", route)
	}
	return nil
}

// shownGuard is a guard as the admin API shows it.
type shownGuard struct {
	Listener string     `json:"listener"`
	Route    string     `json:"route"`
	Canary   string     `json:"canary"`
	Weight   uint32     `json:"weight"` // now
	Tripped  bool       `json:"tripped"`
	Since    *time.Time `json:"since,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	// Observed are the sides: when it tripped, or now.
	Observed struct {
		Stable shownSide `json:"stable"`
		Canary shownSide `json:"canary"`
	} `json:"observed"`
}

type shownSide struct {
	Requests uint64        `json:"requests"`
	Failed   uint64        `json:"failed"`
	P99      time.Duration `json:"p99_ns"`
}

func (w *guarded) shown(now time.Time) *shownGuard {
	s := w.Status(now)
	v := &shownGuard{Listener: w.listener, Route: w.route.Name, Canary: w.canary.Variant, Weight: w.canary.Weight}
	if s.Verdict != nil {
		at := s.Verdict.At.UTC()
		v.Tripped, v.Since, v.Reason, v.Weight = true, &at, s.Verdict.Reason, uint32(w.route.Guard.Then)
	}
	v.Observed.Stable, v.Observed.Canary = shownSide(s.Stable), shownSide(s.Canary)
	return v
}

// guardsOf are the guards of the routes of a name, which several listeners may have.
func (p *Proxy) guardsOf(route string) (all []any) {
	for _, w := range p.current.Load().guards {
		if w.route.Name == route {
			all = append(all, w.shown(time.Now()))
		}
	}
	return all
}

// measureGuards registers the metric of guards.
func (p *Proxy) measureGuards() {
	p.metrics.Func("hopscope_guard_tripped", "1 while the canary of a route is taken back, since its guard found it worse than the other targets.", metrics.Gauge,
		[]string{"service", "listener", "route", "variant"}, func(emit func(float64, ...string)) {
			for _, w := range p.current.Load().guards {
				emit(number(w.Tripped()), p.service, w.listener, w.route.Name, w.canary.Variant)
			}
		})
}
