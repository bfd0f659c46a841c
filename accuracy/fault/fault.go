package fault

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Fault is one that can be injected into a mesh.
type Fault struct {
	Name string
	// Where is the services that it can be injected at.
	Where Where
	// OnEdge is true if the calls of Place.Caller alone fail, not those of other callers.
	OnEdge bool
	// Method is that of the requests; the default is GET.
	Method string
	// AtOnce is how many requests are under way; the default is 4.
	AtOnce int
	// Patient is true if no request may run into a timeout.
	Patient bool
	// Tight is true if a single request may meet the fault before it is injected.
	Tight bool
	// Missing says what of the mesh is missing: then a verdict can't always be right.
	Missing string
	// Consul is true if endpoints come from Consul.
	Consul bool

	// Graph and Plan change the mesh before it starts, Inject one that runs and is
	// well. Each may be nil.
	Graph  func(*mesh.Graph, Place)
	Plan   func(*mesh.Plan, Place) error
	Inject func(*Target) error

	Truth func(Place) Truth
}

// Target is a running mesh, and the place where a fault is injected.
type Target struct {
	*mesh.Mesh
	Place
	Context context.Context
}

// ErrCannot means that this system can't make the fault.
var ErrCannot = errors.New("this system can't make the fault")

// await sends requests until a response's Proxy-Status has one of the texts, or for some
// seconds: until the sidecars have heard of a change.
func (m *Target) await(texts ...string) error {
	ctx, cancel := context.WithTimeout(m.Context, 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		r := m.Request(ctx, "GET")
		for _, line := range r.ProxyStatus {
			for _, text := range texts {
				if bytes.Contains(line, []byte(text+" ")) {
					return nil
				}
			}
		}
	}
	return m.Context.Err() // they may not have to say so: an application may swallow it
}

// Where is a set of services; a service has to meet all of it.
type Where uint8

// The sets.
const (
	HTTP     Where = 1 << iota // speaks HTTP/1
	GRPC                       // speaks gRPC
	Leaf                       // calls nobody
	Middle                     // calls somebody
	Deep                       // is called by another than the root
	Beside                     // there is a leaf elsewhere, Place.Other
	Anywhere Where = 0
)

// Place is where a fault is.
type Place struct {
	Caller, Target string
	// Other is a leaf that is not below Target, nor above it.
	Other string
	// Callers are all who call Target.
	Callers []string
}

// Truth is who is at fault.
type Truth struct {
	// Services, Parts and Kinds are what is right to say, the best first. Without Parts or
	// Kinds, all are right. Without Services, it is right to blame nobody.
	Services []string
	Parts    []hop.Part
	Kinds    []string
	// Callers has the services that it is right to name as the ones that met it; without any,
	// it does not matter.
	Callers []string
	// Near has the services whose proxies may be the nearest to the fault, and Direction the
	// side of the proxy that meets it. There are none if the trace does not have its hop.
	Near      []string
	Direction hop.Direction
	// Inner has the services that are right to name for a request that did not fail, since
	// an application recovered from a failure; the same as Services if it is empty.
	Inner []string
	// Begun is true if the target's response had begun, so that the header of the root's
	// response can't tell the part.
	Begun bool
	// Slow is true if nothing fails, and the trace alone tells.
	Slow bool
}

// Find chooses a place for the fault. ok is false if the graph has none.
func (f *Fault) Find(r *rand.Rand, g *mesh.Graph) (at Place, ok bool) {
	var places []Place
	for _, s := range g.Services[1:] {
		for _, caller := range g.Callers(s.Name) {
			at := Place{Caller: caller, Target: s.Name, Callers: g.Callers(s.Name), Other: beside(r, g, s.Name)}
			if f.fits(g, s, at) {
				places = append(places, at)
			}
		}
	}
	if len(places) == 0 {
		return Place{}, false
	}
	return places[r.IntN(len(places))], true
}

func (f *Fault) fits(g *mesh.Graph, s *mesh.Service, at Place) bool {
	has := func(w Where) bool { return f.Where&w != 0 }
	switch {
	case has(HTTP) && s.GRPC, has(GRPC) && !s.GRPC,
		has(Leaf) && len(s.Calls) > 0, has(Middle) && len(s.Calls) == 0,
		has(Deep) && at.Caller == g.Root(),
		has(Beside) && at.Other == "":
		return false
	}
	return true
}

// beside finds a leaf that neither leads to the service nor is led to by it.
func beside(r *rand.Rand, g *mesh.Graph, service string) string {
	var leaves []string
	for _, s := range g.Services[1:] {
		if len(s.Calls) == 0 && s.Name != service && !leads(g, service, s.Name) {
			leaves = append(leaves, s.Name)
		}
	}
	if len(leaves) == 0 {
		return ""
	}
	return leaves[r.IntN(len(leaves))]
}

// leads reports whether a request to from leads to one to to.
func leads(g *mesh.Graph, from, to string) bool {
	reached := map[string]bool{from: true}
	for _, s := range g.Services { // callers come before callees
		if reached[s.Name] {
			for _, c := range s.Calls {
				reached[c.To] = true
			}
		}
	}
	return reached[to]
}

// Named returns the faults with the names, all of them without a name.
func Named(names []string) (found []*Fault, unknown string) {
	all := All()
	if len(names) == 0 {
		return all, ""
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(f *Fault) bool { return f.Name == name })
		if i < 0 {
			return nil, name
		}
		found = append(found, all[i])
	}
	return found, ""
}
