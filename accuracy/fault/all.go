package fault

import (
	"slices"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// All returns every fault.
func All() []*Fault {
	return slices.Concat(ofApplications(), ofProxies(), ofNetworks(), ofConsul(), ofTraces())
}

// trouble makes the target's application misbehave.
func trouble(t app.Trouble) func(*Target) error {
	return func(m *Target) error {
		m.App(m.Target).Misbehave(t)
		return nil
	}
}

// application is the truth for a fault of the target's application, which its own
// sidecar meets.
func application(kinds ...string) func(Place) Truth {
	return func(at Place) Truth {
		return Truth{
			Services: []string{at.Target}, Parts: []hop.Part{hop.PartApplication}, Kinds: kinds,
			Near: []string{at.Target}, Direction: hop.Inbound,
		}
	}
}

// onTheWay is the truth for a fault of the target that its callers meet.
func onTheWay(part hop.Part, kinds ...string) func(Place) Truth {
	return func(at Place) Truth {
		return Truth{
			Services: []string{at.Target}, Parts: parts(part), Kinds: kinds, Callers: at.Callers,
			Near: at.Callers, Direction: hop.Outbound,
		}
	}
}

// ofCaller is the truth for what the caller alone decides.
func ofCaller(part hop.Part, kinds ...string) func(Place) Truth {
	return func(at Place) Truth {
		return Truth{
			Services: []string{at.Caller}, Parts: parts(part), Kinds: kinds,
			Near: []string{at.Caller}, Direction: hop.Outbound,
		}
	}
}

// parts is the list of a part; unknown stands for any.
func parts(p hop.Part) []hop.Part {
	if p == hop.PartUnknown {
		return nil
	}
	return []hop.Part{p}
}

// ownProcess runs the target's application as a process of its own.
func ownProcess(p *mesh.Plan, at Place) error {
	p.OwnProcess[at.Target] = true
	return nil
}

// died are the kinds of a connection that ended, by its end or by a reset, whichever the
// proxy sees first.
var died = []string{"upstream_reset", "upstream_closed"}

// ofApplications are the faults of a service's application, behind its own sidecar.
func ofApplications() []*Fault {
	gone := append([]string{"connect_refused"}, died...)
	return []*Fault{
		{Name: "refused", Inject: func(m *Target) error { m.App(m.Target).Close(); return nil }, Truth: application(gone...)},
		{Name: "killed", Plan: ownProcess, Inject: func(m *Target) error { m.Child(m.Target).Kill(); return nil }, Truth: application(gone...)},
		{Name: "black_hole", Inject: trouble(app.Hang), AtOnce: 10, Truth: application("upstream_timeout")},
		{Name: "stopped", Plan: ownProcess, Inject: func(m *Target) error { return m.Child(m.Target).Stop() }, AtOnce: 10, Truth: application("upstream_timeout")},
		{Name: "error_leaf", Where: HTTP | Leaf, Inject: trouble(app.Error), Truth: application("error_response")},
		{Name: "error_middle", Where: HTTP | Middle, Inject: trouble(app.Error), Truth: application("error_response")},
		{Name: "grpc_error", Where: GRPC, Inject: trouble(app.Error), Truth: application("error_response")},
		{Name: "reset_before_head", Where: HTTP, Inject: trouble(app.ResetBefore), Truth: application(died...)},
		{Name: "reset_amid_head", Where: HTTP, Inject: trouble(app.ResetAmid), Truth: application(died...)},
		{Name: "reset_after_head", Where: HTTP, Inject: trouble(app.ResetAfter), Truth: begun(application(died...))},
		{Name: "cut_body", Where: HTTP, Inject: trouble(app.Cut), Truth: begun(application(died...))},
		{Name: "wrong_protocol", Where: HTTP, Inject: trouble(app.Garbage), Truth: application("upstream_protocol")},
		{Name: "large_head", Where: HTTP, Inject: trouble(app.HugeHead), Truth: application("upstream_header")},
		{Name: "idle_race", Where: HTTP, Method: "POST", Inject: trouble(app.CloseReused), Truth: application(died...)},
		{Name: "slow", Patient: true, AtOnce: 10, Inject: trouble(app.Slow), Truth: slow(application())},
		{Name: "two_faults", Where: Beside, Graph: func(g *mesh.Graph, at Place) {
			for _, caller := range g.Callers(at.Other) {
				g.Call(caller, at.Other).OnFailure = app.Swallow
			}
			for _, s := range g.Services { // of two calls at once, nobody outside knows which one mattered
				s.Concurrent = false
			}
		}, Inject: func(m *Target) error {
			m.App(m.Other).Close()
			m.App(m.Target).Misbehave(app.Error)
			return nil
		}, Truth: func(at Place) Truth {
			t := application("error_response")(at)
			t.Inner = []string{at.Target, at.Other}
			return t
		}},
		{Name: "retries_exhausted", Where: HTTP, AtOnce: 2, Plan: retries, Inject: trouble(app.Error), Truth: application("error_response")},
		{Name: "retries_recovered", Where: HTTP, AtOnce: 2, Plan: retries, Inject: trouble(app.Flaky), Truth: func(Place) Truth { return Truth{} }},
	}
}

// slow makes a truth of one that only the trace tells.
func slow(truth func(Place) Truth) func(Place) Truth {
	return func(at Place) Truth {
		t := truth(at)
		t.Slow = true
		return t
	}
}

// begun makes a truth of one whose response has begun: no header can tell callers' proxies
// any more which part of the service it was.
func begun(truth func(Place) Truth) func(Place) Truth {
	return func(at Place) Truth {
		t := truth(at)
		t.Begun = true
		return t
	}
}

// retries lets all callers' sidecars try three times.
func retries(p *mesh.Plan, at Place) error {
	for _, caller := range at.Callers {
		p.Route(caller, at.Target)["retry"] = mesh.Config{"on": []string{"5xx"}, "attempts": 3}
	}
	return nil
}

// ofProxies are the faults of proxies, of what they are told, and of the network.
func ofProxies() []*Fault {
	return []*Fault{
		{Name: "sidecar_killed", Inject: func(m *Target) error { m.Sidecar(m.Target).Kill(); return nil },
			Truth: onTheWay(hop.PartProxy, append([]string{"connect_refused"}, died...)...)},
		{Name: "no_route", OnEdge: true, Plan: func(p *mesh.Plan, at Place) error {
			p.Route(at.Caller, at.Target)["match"] = mesh.Config{"hosts": []string{at.Target + "-v1"}}
			return nil
		}, Truth: ofCaller(hop.PartConfiguration, "not_found")},
		{Name: "open_circuit", Patient: true, Tight: true, OnEdge: true, AtOnce: 8, Plan: func(p *mesh.Plan, at Place) error {
			p.Cluster(at.Caller, at.Target)["circuit_breaker"] = mesh.Config{"max_requests": 1}
			return nil
		}, Inject: trouble(app.Slow), Truth: ofCaller(hop.PartCapacity, "overflow")},
		{Name: "own_limit", Patient: true, Tight: true, AtOnce: 8, Plan: func(p *mesh.Plan, at Place) error {
			p.Cluster(at.Target, "app")["circuit_breaker"] = mesh.Config{"max_requests": 1}
			return nil
		}, Inject: trouble(app.Slow), Truth: func(at Place) Truth {
			return Truth{
				Services: []string{at.Target}, Parts: parts(hop.PartCapacity), Kinds: []string{"overflow"},
				Near: []string{at.Target}, Direction: hop.Inbound,
			}
		}},
		{Name: "no_time_left", OnEdge: true, AtOnce: 10, Graph: func(g *mesh.Graph, at Place) {
			for _, s := range g.Services { // each is called once, and there is time for it
				for i := range s.Calls {
					s.Calls[i].Times, s.Calls[i].CacheFor = 1, 0
				}
			}
			calls := g.Service(at.Caller).Calls // that of the target comes first
			i := slices.IndexFunc(calls, func(c app.Call) bool { return c.To == at.Target })
			calls[0], calls[i] = calls[i], calls[0]
		}, Inject: func(m *Target) error {
			m.App(m.Caller).Misbehave(app.Dawdle)
			m.App(m.Target).Misbehave(app.Steady)
			return nil
			// Where the application does not fail in the moment that is left, its own time is over.
		}, Truth: ofCaller(hop.PartApplication, "no_time_left", "upstream_timeout")},
		{Name: "deadline_inversion", OnEdge: true, Plan: func(p *mesh.Plan, at Place) error {
			p.Route(at.Caller, at.Target)["timeout"] = "250ms"
			return nil
		}, Inject: trouble(app.Slow), Truth: func(at Place) Truth {
			return Truth{ // both numbers count, and which one is wrong is for a person to say
				Services: []string{at.Caller, at.Target},
				// A gRPC application that was told its deadline may answer before its proxy does.
				Kinds: []string{"upstream_timeout", "error_response"},
				Near:  []string{at.Caller}, Direction: hop.Outbound,
			}
		}},
	}
}

// ofTraces are faults in a mesh that lacks a sidecar, or trace headers.
func ofTraces() []*Fault {
	return []*Fault{
		{Name: "no_sidecar", Missing: "the sidecar of the service that fails", Where: HTTP | Leaf, Plan: func(p *mesh.Plan, at Place) error {
			delete(p.Sidecars, at.Target)
			return nil
		}, Inject: trouble(app.Error), Truth: onTheWay(hop.PartUnknown, "error_response")},
		{Name: "bypassed", Missing: "the inbound side of the caller's sidecar", Where: Deep, Plan: func(p *mesh.Plan, at Place) error {
			p.Bypassed[at.Caller] = true
			return nil
		}, Inject: trouble(app.Error), Truth: func(at Place) Truth {
			t := application("error_response")(at)
			t.Services = append(t.Services, at.Caller) // the gap
			return t
		}},
		{Name: "headers_dropped", Missing: "the trace headers of the caller's calls", Graph: func(g *mesh.Graph, at Place) {
			for _, caller := range at.Callers {
				g.Service(caller).DropHeaders = true
			}
		}, Inject: trouble(app.Error), Truth: func(at Place) Truth {
			t := application("error_response", "lost_context")(at)
			t.Near = nil // its hop is of another trace
			// With other requests under way nothing tells whose call failed: then the trace is said
			// to break at the caller, and nobody to be at fault.
			t.Services, t.Parts = append(t.Services, at.Callers...), append(t.Parts, hop.PartUnknown)
			return t
		}},
		{Name: "headers_dropped_mixed", Missing: "the trace headers of the caller's calls", AtOnce: 10, Graph: func(g *mesh.Graph, at Place) {
			g.Service(at.Caller).DropHeaders = true
			for _, caller := range at.Callers {
				g.Call(caller, at.Target).OnFailure = app.Swallow
			}
		}, Inject: func(m *Target) error {
			m.App(m.Caller).Misbehave(app.ErrorHalf) // while calls of the other half fail, which fails nobody
			m.App(m.Target).Misbehave(app.Error)
			return nil
		}, Truth: func(at Place) Truth {
			return Truth{
				Services: []string{at.Caller}, Parts: []hop.Part{hop.PartApplication, hop.PartUnknown}, Kinds: []string{"error_response", "lost_context"},
				Inner: []string{at.Caller, at.Target},
				Near:  []string{at.Caller}, Direction: hop.Inbound,
			}
		}},
	}
}
