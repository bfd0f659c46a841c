package consul

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// registered is a service that the agent should have.
type registered struct {
	*api.AgentServiceRegistration
	agent *api.Agent
	// compared is true once the agent had it just so. What others change in it after
	// that is left to them, such as to the process that takes over from this one.
	compared bool
	// health is the status of each check when the agent was last asked.
	health map[string]string
}

// ensure registers the service where the agent does not know it, or, at first, knows it
// otherwise. It notes what it did.
func (s *registered) ensure(ctx context.Context, did *Outcome) error {
	options := (&api.QueryOptions{}).WithContext(ctx)
	service, _, err := s.agent.Service(s.ID, options)
	if unknown(err) {
		if err = s.register(ctx); err == nil {
			s.compared = true
			did.Registered = append(did.Registered, s.ID)
		}
		return err
	}
	if err != nil {
		return err
	}
	checks, err := s.agent.ChecksWithFilterOpts(fmt.Sprintf("ServiceID == %q", s.ID), options)
	if err != nil {
		return err
	}
	s.health = make(map[string]string, len(checks))
	for id, c := range checks {
		s.health[id] = c.Status
	}
	if s.compared {
		return nil
	}
	differs, stale := s.compare(service, checks)
	if len(differs) > 0 {
		if err := s.register(ctx); err != nil {
			return err
		}
		did.Changed = append(did.Changed, s.ID+": "+strings.Join(differs, ", "))
	}
	for _, id := range stale {
		if err := s.agent.CheckDeregisterOpts(id, options); err != nil && !unknown(err) {
			return err
		}
	}
	s.compared = true
	return nil
}

// register registers the service, its checks as they are known to be: what was well
// when the agent was last asked does not become critical by being registered again.
func (s *registered) register(ctx context.Context) error {
	service := *s.AgentServiceRegistration
	service.Checks = make(api.AgentServiceChecks, len(s.Checks))
	for i, c := range s.Checks {
		check := *c
		if status, known := s.health[c.CheckID]; known {
			check.Status = status
		}
		service.Checks[i] = &check
	}
	return s.agent.ServiceRegisterOpts(&service, api.ServiceRegisterOpts{}.WithContext(ctx))
}

// compare says what of the service is otherwise in the agent, and which of its checks
// are not to be there any more. Checks of others are theirs.
func (s *registered) compare(service *api.AgentService, checks map[string]*api.AgentCheck) (differs, stale []string) {
	for _, part := range []struct {
		name string
		same bool
	}{
		{"kind", s.Kind == service.Kind},
		{"name", s.Name == service.Service},
		{"address", s.Address == service.Address},
		{"port", s.Port == service.Port},
		{"tags", slices.Equal(s.Tags, service.Tags)},
		{"meta", maps.Equal(s.Meta, service.Meta)},
		{"weights", *s.Weights == service.Weights},
		{"proxy", sameProxy(s.Proxy, service.Proxy)},
	} {
		if !part.same {
			differs = append(differs, part.name)
		}
	}
	same := true
	for _, want := range s.Checks {
		got, there := checks[want.CheckID]
		same = same && there && got.Name == want.Name && got.Notes == want.Notes
	}
	for id := range checks {
		ours := id == checkID(s.ID, "") || strings.HasPrefix(id, checkID(s.ID, "")+":")
		if ours && !slices.ContainsFunc(s.Checks, func(c *api.AgentServiceCheck) bool { return c.CheckID == id }) {
			stale = append(stale, id)
		}
	}
	if !same || len(stale) > 0 {
		differs = append(differs, "checks")
	}
	return differs, stale
}

// sameProxy compares what is said of a sidecar; the agent adds to it.
func sameProxy(a, b *api.AgentServiceConnectProxyConfig) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.DestinationServiceName == b.DestinationServiceName && a.DestinationServiceID == b.DestinationServiceID &&
		a.LocalServicePort == b.LocalServicePort
}
