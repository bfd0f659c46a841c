package static_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/static"
)

var _ discovery.Source = (*static.Source)(nil)

func TestDeliversOnce(t *testing.T) {
	given := []discovery.Endpoint{
		{Address: "Web:80", Weight: 2, Locality: discovery.Locality{Zone: "a"}},
		{Address: "10.0.0.1:80", Weight: 1, Priority: 1, Health: discovery.Draining, Metadata: map[string]string{"version": "v2"}},
	}
	source, err := static.New(static.Options{Endpoints: given})
	if err != nil {
		t.Fatal(err)
	}
	want := discovery.Update{Endpoints: []discovery.Endpoint{given[0], given[1]}}
	want.Endpoints[0].Address = "web:80"
	given[1].Address = "changed:1" // by the caller, who may
	ctx, cancel := context.WithCancel(t.Context())
	var got []discovery.Update
	source.Run(ctx, func(u discovery.Update) {
		got = append(got, u)
		cancel()
	})
	if diff := cmp.Diff([]discovery.Update{want}, got); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestNoEndpointIsAnAnswer(t *testing.T) {
	source, err := static.New(static.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	source.Run(ctx, func(u discovery.Update) {
		if u.Endpoints == nil || len(u.Endpoints) != 0 || u.Missing || u.Err != nil {
			t.Errorf("delivered %#v", u)
		}
		cancel()
	})
}

func TestRefusals(t *testing.T) {
	good := discovery.Endpoint{Address: "a:1", Weight: 1}
	for want, bad := range map[string]discovery.Endpoint{
		"endpoints[1].address: an address is host:port": {Address: "a", Weight: 1},
		"endpoints[1].address: a:1 is endpoints[0]":     {Address: "A:01", Weight: 1},
		"endpoints[1].weight":                           {Address: "b:1"},
		"endpoints[1].priority":                         {Address: "b:1", Weight: 1, Priority: -1},
		"endpoints[1].health":                           {Address: "b:1", Weight: 1, Health: 9},
	} {
		_, err := static.New(static.Options{Endpoints: []discovery.Endpoint{good, bad}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
