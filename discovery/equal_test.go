package discovery_test

import (
	"errors"
	"testing"

	"github.com/hopscope/hopscope/discovery"
)

func TestSame(t *testing.T) {
	one := discovery.Endpoint{Address: "a:1", Weight: 1, Metadata: map[string]string{"version": "v1"}}
	update := discovery.Update{Endpoints: []discovery.Endpoint{one, {Address: "b:1", Weight: 1}}}
	with := func(change func(*discovery.Endpoint)) discovery.Update {
		e := one
		change(&e)
		return discovery.Update{Endpoints: []discovery.Endpoint{e, update.Endpoints[1]}}
	}
	if same := with(func(e *discovery.Endpoint) { e.Metadata = map[string]string{"version": "v1"} }); !update.Same(same) {
		t.Error("an update that says the same is taken for another")
	}
	for name, other := range map[string]discovery.Update{
		"address":  with(func(e *discovery.Endpoint) { e.Address = "c:1" }),
		"weight":   with(func(e *discovery.Endpoint) { e.Weight = 2 }),
		"priority": with(func(e *discovery.Endpoint) { e.Priority = 1 }),
		"region":   with(func(e *discovery.Endpoint) { e.Locality.Region = "eu" }),
		"health":   with(func(e *discovery.Endpoint) { e.Health = discovery.Draining }),
		"metadata": with(func(e *discovery.Endpoint) { e.Metadata = map[string]string{"version": "v2"} }),
		"count":    {Endpoints: update.Endpoints[:1]},
		"order":    {Endpoints: []discovery.Endpoint{update.Endpoints[1], one}},
		"missing":  {Endpoints: update.Endpoints, Missing: true},
		"stale":    {Endpoints: update.Endpoints, Err: errors.New("gone")},
	} {
		if update.Same(other) {
			t.Errorf("another %s is not noticed", name)
		}
	}
	if (discovery.Update{}).Same(discovery.Update{Endpoints: []discovery.Endpoint{}}) {
		t.Error("no answer is taken for an answer of no endpoint")
	}
	stale, again := discovery.Update{Err: errors.New("gone")}, discovery.Update{Err: errors.New("gone")}
	if !stale.Same(again) || stale.Same(discovery.Update{Err: errors.New("refused")}) {
		t.Error("errors are not told by their text")
	}
}
