package fault

import (
	"slices"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// ofConsul are the faults of a mesh whose endpoints come from Consul.
func ofConsul() []*Fault {
	return []*Fault{
		{Name: "consul_killed", Consul: true, Plan: ownProcess, Inject: func(m *Target) error {
			m.Child(m.Target).Kill()
			return nil
		}, Truth: application("connect_refused", "upstream_reset", "upstream_closed")},
		{Name: "consul_critical", Consul: true, Inject: func(m *Target) error {
			m.App(m.Target).Close()
			if err := m.Consul.Fail(m.Target, "dial tcp: connection refused"); err != nil {
				return err
			}
			return m.await("UH")
		}, Truth: onTheWay(hop.PartUnknown, "no_healthy")},
		{Name: "consul_deregistered", Consul: true, Inject: func(m *Target) error {
			if err := m.Consul.Deregister(m.Target); err != nil {
				return err
			}
			return m.await("UH", "NC", "NR")
		}, Truth: func(at Place) Truth {
			t := onTheWay(hop.PartUnknown, "no_healthy", "undiscovered", "no_cluster")(at)
			t.Services = append(t.Services, at.Callers...) // they ask for what the catalog does not have
			return t
		}},
		{Name: "consul_gone", Consul: true, Inject: func(m *Target) error {
			m.Consul.Kill()
			return nil
		}, Truth: func(Place) Truth { return Truth{} }},
		{Name: "consul_gone_error", Consul: true, Inject: func(m *Target) error {
			m.Consul.Kill()
			m.App(m.Target).Misbehave(app.Error)
			return nil
		}, Truth: application("error_response")},
		{Name: "no_service", Consul: true, OnEdge: true, Where: HTTP, Plan: func(p *mesh.Plan, at Place) error {
			out := p.Outbound(at.Caller)
			out["routes"] = slices.DeleteFunc(out["routes"].([]any), func(r any) bool { return r.(mesh.Config)["name"] == at.Target })
			out["catalog"] = "consul"
			return p.Consul.Deregister(at.Target)
		}, Truth: ofCaller(hop.PartConfiguration, "not_found", "no_cluster")},
	}
}
