package convert

import (
	"cmp"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// filterSet is what the HTTP filters of a connection manager do to its routes.
type filterSet struct {
	listener *config.Listener
	filters  []*httpFilter
	// upgrades are the protocols that requests may change to, unless a route says otherwise.
	upgrades map[string]bool
	// byCall is true if requests are translated to calls, by whose path Envoy then finds
	// their route.
	byCall bool
	// passwords is the configuration of the filter that asks for them.
	passwords *node
	// maxStream is the time for a whole stream, unless a route says otherwise.
	maxStream *node
}

// httpFilter is a filter that does something to routes.
type httpFilter struct {
	name     string // under which routes have what is different for them
	legacy   string // the key under which they had it before; empty if there was none
	at       *node  // the filter in its list
	disabled bool   // it does nothing but for routes that say otherwise
	apply    filterApply
	used     bool // by a route without a configuration of its own
}

// filterApply gives a route what a filter does to it, by its configuration. That is shared
// with other routes unless the route, or what is around it, has another one in its place.
type filterApply func(s *filterSet, e *envoy, r *config.Route, n *node, shared bool)

// routeFilters are those that do something to routes, by their type.
var routeFilters = map[string]filterApply{
	"Cors":                (*filterSet).cors,
	"HTTPFault":           (*filterSet).fault,
	"BasicAuth":           (*filterSet).basicAuth,
	"Buffer":              (*filterSet).buffer,
	"Compressor":          (*filterSet).compress,
	"Decompressor":        (*filterSet).decompress,
	"BandwidthLimit":      (*filterSet).bandwidth,
	"AdmissionControl":    (*filterSet).admission,
	"AdaptiveConcurrency": (*filterSet).adaptive,
	"StatefulSession":     (*filterSet).session,
	"GrpcJsonTranscoder":  (*filterSet).transcode,
}

// httpFilters reads the HTTP filters.
func (e *envoy) httpFilters(l *config.Listener, manager *node) *filterSet {
	set := &filterSet{listener: l, maxStream: manager.get("common_http_protocol_options", "max_stream_duration")}
	set.upgrades = e.upgrades(manager, nil)
	l.GRPCWeb = false
	for _, f := range manager.list("http_filters") {
		name, kind := f.str("name"), typeOf(f)
		f.get("typed_config").skip("@type")
		disabled := f.truth("disabled")
		if kind == "" && name == "envoy.filters.http.cors" {
			kind = "Cors"
		}
		switch apply := routeFilters[kind]; {
		case apply != nil:
			if kind == "BasicAuth" {
				set.passwords = f.get("typed_config")
			}
			set.filters = append(set.filters, &httpFilter{name: name, legacy: map[string]string{"Cors": "cors"}[kind], at: f, disabled: disabled, apply: apply})
		case kind == "Router" || kind == "" && name == "envoy.filters.http.router":
			f.get("typed_config").skip("start_child_span", "suppress_envoy_headers", "dynamic_stats")
		case kind == "FilterConfig" && name == "envoy.filters.http.grpc_stats":
			f.readAll()
		case disabled:
			f.readAll() // a route that turns it on has a key that is listed
		case kind == "GrpcWeb" || kind == "" && name == "envoy.filters.http.grpc_web":
			l.GRPCWeb = true
		case kind == "HealthCheck":
			e.healthAnswer(l, f)
		default:
			f.read = false
		}
	}
	return set
}

// apply gives a route what the filters do to it. levels are the route, its action, and
// what is around it.
func (s *filterSet) apply(e *envoy, r *config.Route, levels []*node) {
	for _, f := range s.filters {
		own := perFilter(levels, f.name)
		if f.legacy != "" && own == nil {
			if n := innermost(levels, f.legacy); n != nil {
				own = &override{config: n}
			}
		}
		switch {
		case own == nil && f.disabled, own != nil && own.disabled:
		case own != nil && own.config != nil:
			f.apply(s, e, r, own.config, false)
		default:
			f.used = true
			f.apply(s, e, r, f.at.get("typed_config"), true)
		}
	}
	for _, level := range levels {
		level.skip("cors") // without its filter it does nothing
	}
}

// finish takes in the configuration of filters that no route uses.
func (s *filterSet) finish() {
	for _, f := range s.filters {
		if !f.used {
			f.at.get("typed_config").readAll()
		}
	}
}

// try changes a route if hopscope can have it so, and else says why not.
func (s *filterSet) try(e *envoy, r *config.Route, at *node, change func(*config.Route)) {
	changed := *r
	change(&changed)
	if err := e.fits(s.listener, changed); err != nil && e.fits(s.listener, *r) == nil {
		e.left(at.line, at.path, "%v", err)
		return
	}
	*r = changed
}

// override is what a route, or what is around it, has for a filter.
type override struct {
	config   *node // in place of the filter's own; nil for that
	disabled bool
}

// perFilter is what the innermost level has for a filter; nil if none has anything.
func perFilter(levels []*node, filter string) (innermost *override) {
	for _, level := range levels {
		for _, f := range level.get("typed_per_filter_config").allFields() {
			switch {
			case f.name != filter:
			case innermost != nil:
				f.node.readAll() // the inner one replaces it
			default:
				innermost = overrideOf(f.node)
			}
		}
	}
	return innermost
}

// overrideOf reads an override. It is a configuration like the filter's, or a message of its
// own for routes that has one, and either may be in a FilterConfig.
func overrideOf(n *node) *override {
	n.read = true
	o := &override{config: n, disabled: n.truth("disabled")}
	kind := n.str("@type")
	if strings.HasSuffix(kind, "route.v3.FilterConfig") {
		n.skip("is_optional")
		o.config = n.get("config")
		kind = o.config.str("@type")
		o.disabled = o.disabled || o.config.truth("disabled")
		if len(o.config.allFields()) == 0 {
			o.config = nil // which is how a route turns a filter on
		}
	}
	if strings.HasSuffix(kind, "PerRoute") && !o.config.has("users") {
		o.config = cmp.Or(o.config.get("buffer"), o.config.get("stateful_session"), o.config.get("transcoder"))
	}
	return o
}

// turnedOff reports whether a flag of the runtime is off by its default.
func turnedOff(n *node, flag string) bool {
	f := n.get(flag)
	f.skip("runtime_key")
	return f.str("default_value") == "false"
}

// healthAnswer converts a health check filter that answers by itself.
func (e *envoy) healthAnswer(l *config.Listener, f *node) {
	t := f.get("typed_config")
	conditions := t.list("headers")
	if t.truth("pass_through_mode") || len(conditions) != 1 || conditions[0].str("name") != ":path" {
		f.read = false
		return
	}
	t.skip("pass_through_mode")
	text, err := headerText(conditions[0])
	if err != nil || text.Exact == "" {
		f.read = false
		return
	}
	e.differs(f.line, f.path, "the path with a query is answered as well")
	r := config.NewRoute("")
	r.Match.Path, r.Answer = text.Exact, config.NewAnswer()
	e.add(l, r, origin{f.line, f.path})
}
