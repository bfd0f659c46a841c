package paths

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// maxServices limits the services, with their callees, that are learned from.
	maxServices = 1000
	// maxLabels limits what is remembered of old configurations.
	maxLabels = 4096
	// cacheSize is how many paths of a service are remembered as a whole; a power of two.
	cacheSize = 64
)

// Learner learns routes. It is a view, for one goroutine. Use [New].
type Learner struct {
	max      int
	seed     maphash.Seed
	services map[key]*service
	labels   map[*hop.Labels]*service // of those that were seen, to find the service fast
	latest   struct {
		labels  *hop.Labels
		service *service
	}
}

// key is what routes are learned for: the requests to a service, or its calls to a
// cluster.
type key struct {
	service, cluster string
	direction        hop.Direction
}

// service is what was learned of one.
type service struct {
	paths   node
	methods map[string]string // of gRPC: the path, and its name
	routes  int               // how many there are
	ever    int               // how many there were, with those that a parameter stands for now
	cache   [cacheSize]cached
}

// cached is a path, as long as there is room, and its name.
type cached struct {
	path [maxCached]byte
	len  int
	name string
}

const maxCached = 40 // bytes

// New returns a Learner of at most so many routes for each service.
func New(max int) *Learner {
	return &Learner{
		max: max, seed: maphash.MakeSeed(),
		services: map[key]*service{}, labels: map[*hop.Labels]*service{},
	}
}

// Observe sets the hop's template: as a view that comes before the others, which show it.
func (l *Learner) Observe(h *hop.Hop) { l.name(h) }

// Name is what it is called in metrics and logs.
func (l *Learner) Name() string { return "routes" }

// Tick does nothing.
func (l *Learner) Tick(time.Time) {}

// Close does nothing.
func (l *Learner) Close(context.Context) error { return nil }

// name sets the hop's template, unless the configuration names one, or there is no path.
// A path is learned from unless it was refused: else whoever looks for holes would teach
// it. A path that is not learned yet then counts as [hop.OtherRoute].
func (l *Learner) name(h *hop.Hop) {
	path := h.Bytes(h.Path)
	if !h.Labels.Learn || h.Kind != hop.KindRequest || len(path) == 0 || path[0] != '/' {
		return
	}
	s := l.service(h.Labels)
	if s == nil {
		h.Template = hop.OtherRoute
		return
	}
	if h.GRPC {
		h.Template = l.method(s, h)
		return
	}
	at := &s.cache[maphash.Bytes(l.seed, path)%cacheSize]
	if string(at.path[:at.len]) == string(path) {
		h.Template = at.name
		return
	}
	h.Template = s.name(path, l.max, h.Status < 400 || h.Status >= 500)
	if len(path) <= maxCached && h.Template != hop.OtherRoute {
		at.name, at.len = h.Template, copy(at.path[:], path)
	}
}

// service finds what was learned for the labels; nil if there are too many.
func (l *Learner) service(labels *hop.Labels) *service {
	if labels == l.latest.labels {
		return l.latest.service
	}
	s, ok := l.labels[labels]
	if !ok {
		s = l.learn(labels)
	}
	l.latest.labels, l.latest.service = labels, s
	return s
}

// learn is service for labels that were not seen before.
func (l *Learner) learn(labels *hop.Labels) *service {
	k := key{service: labels.Service, direction: labels.Direction}
	if labels.Direction == hop.Outbound {
		k.cluster = labels.Cluster
	}
	s := l.services[k]
	if s == nil && len(l.services) < maxServices {
		s = &service{}
		l.services[k] = s
	}
	if len(l.labels) >= maxLabels {
		clear(l.labels)
	}
	l.labels[labels] = s
	return s
}

// full reports whether there is no room for another route.
func (s *service) full(max int) bool { return s.routes >= max || s.ever >= 3*max }

// method is the name of a gRPC method, package.Service/Method.
func (l *Learner) method(s *service, h *hop.Hop) string {
	path := h.Bytes(h.Path)
	if name, ok := s.methods[string(path)]; ok {
		return name
	}
	if h.GRPCStatus == hop.Unimplemented || s.full(l.max) || h.CallName() == nil {
		return hop.OtherRoute
	}
	if s.methods == nil {
		s.methods = map[string]string{}
	}
	s.routes, s.ever = s.routes+1, s.ever+1
	name := string(path)
	s.methods[name] = name[1:]
	return name[1:]
}
