package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// filterSet is what the HTTP filters of a connection manager do to its routes. A filter is
// known by its name, under which routes have what is different for them.
type filterSet struct {
	listener *config.Listener
	cors     string
	fault    string
	body     string
	compress string

	faults     *node
	bodies     *node
	compressor *config.Compress
	at         *node // the first compressor
}

// httpFilters reads the HTTP filters.
func (e *envoy) httpFilters(l *config.Listener, manager *node) *filterSet {
	set := &filterSet{listener: l}
	l.GRPCWeb = false
	for _, f := range manager.list("http_filters") {
		name, kind := f.str("name"), typeOf(f)
		f.get("typed_config").skip("@type")
		switch {
		case kind == "Router" || kind == "" && name == "envoy.filters.http.router":
			f.get("typed_config").skip("start_child_span", "suppress_envoy_headers", "dynamic_stats")
		case kind == "Cors" || kind == "" && name == "envoy.filters.http.cors":
			set.cors = name
		case kind == "HTTPFault":
			set.fault, set.faults = name, f.get("typed_config")
		case kind == "Buffer":
			set.body, set.bodies = name, f.get("typed_config")
		case kind == "Compressor":
			set.compression(e, f)
		case kind == "GrpcWeb" || kind == "" && name == "envoy.filters.http.grpc_web":
			l.GRPCWeb = true
		case kind == "HealthCheck":
			e.healthAnswer(l, f)
		case kind == "FilterConfig" && name == "envoy.filters.http.grpc_stats":
			f.readAll()
		default:
			f.read = false
		}
	}
	return set
}

// compression adds the algorithm of a compressor.
func (s *filterSet) compression(e *envoy, f *node) {
	t := f.get("typed_config")
	t.skip("compressor_library", "choose_first")
	algorithm := map[string]string{"Gzip": "gzip", "Brotli": "br", "Zstd": "zstd"}[typeOf(t.get("compressor_library"))]
	if algorithm == "" {
		f.read = false
		return
	}
	direction := t.get("response_direction_config")
	common := direction.get("common_config")
	common.skip("enabled")
	c := &config.Compress{Algorithms: []string{algorithm}, MinBytes: 30, Types: common.strs("content_type")}
	c.MinBytes = common.integer(t.integer(c.MinBytes, "content_length"), "min_content_length")
	if c.Types == nil {
		c.Types = t.strs("content_type")
	}
	if c.Types == nil {
		c.Types = []string{"application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/html", "text/plain", "text/xml"}
	}
	if s.compressor == nil {
		s.compress, s.compressor, s.at = f.str("name"), c, f
		return
	}
	if c.MinBytes != s.compressor.MinBytes || !slices.Equal(c.Types, s.compressor.Types) {
		e.differs(f.line, f.path, "its length and types are those of the compressor before it: hopscope has one list for all algorithms")
	}
	s.compressor.Algorithms = append(s.compressor.Algorithms, algorithm)
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

// apply gives a route what the filters do to it. levels are the route, its action, and
// what is around it.
func (s *filterSet) apply(e *envoy, r *config.Route, levels []*node) {
	s.applyCORS(e, r, levels)
	if s.fault != "" {
		n := s.faults
		if own := perFilter(levels, s.fault); own != nil {
			n = own
		}
		if f, ok := e.faultOf(n); ok {
			s.try(e, r, n, func(r *config.Route) { r.Fault = f })
		}
	}
	if s.body != "" {
		n, off := s.bodies, false
		if own := perFilter(levels, s.body); own != nil {
			off = own.truth("disabled")
			if own.has("buffer") {
				n = own.get("buffer")
			}
		}
		if max := n.str("max_request_bytes"); max != "" && !off && len(r.Targets()) > 0 {
			s.try(e, r, n, func(r *config.Route) { r.Body = &config.Body{Max: max, Buffer: true} })
		}
	}
	if s.compressor != nil {
		own := perFilter(levels, s.compress)
		if !own.truth("disabled") {
			c := *s.compressor
			s.try(e, r, s.at, func(r *config.Route) { r.Compress = &c })
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

// perFilter is what the innermost level has for a filter.
func perFilter(levels []*node, filter string) (innermost *node) {
	for _, level := range levels {
		n := level.get("typed_per_filter_config")
		if n == nil {
			continue
		}
		for _, f := range n.fields {
			if f.name != filter {
				continue
			}
			f.node.read = true
			f.node.skip("@type")
			if innermost == nil {
				innermost = f.node
			} else {
				f.node.readAll() // the inner one replaces it
			}
		}
	}
	return innermost
}

func (s *filterSet) applyCORS(e *envoy, r *config.Route, levels []*node) {
	var n *node
	for _, level := range levels {
		own := perFilter([]*node{level}, orNone(s.cors))
		if own == nil {
			own = level.get("cors")
		}
		if n == nil {
			n = own
		} else {
			own.readAll()
		}
	}
	if n == nil {
		return
	}
	if s.cors == "" {
		n.read = false // without its filter it does nothing
		n.readAll()
		return
	}
	n.skip("forward_not_matching_preflights")
	if f := n.get("filter_enabled"); f != nil {
		f.skip("runtime_key")
		if percent(f.get("default_value")) == 0 {
			n.readAll()
			return
		}
	}
	c := &config.CORS{
		AllowMethods: words(n.str("allow_methods")), AllowHeaders: words(n.str("allow_headers")), ExposeHeaders: words(n.str("expose_headers")),
		AllowCredentials: n.truth("allow_credentials"),
	}
	if age, err := strconv.Atoi(n.str("max_age")); err == nil {
		c.MaxAge = time.Duration(age) * time.Second
	}
	for _, o := range n.list("allow_origin_string_match") {
		t, err := stringMatcher(o)
		if err != nil {
			e.left(o.line, o.path, "%v", err)
			continue
		}
		c.AllowOrigins = append(c.AllowOrigins, originOf(t))
	}
	e.differs(n.line, n.path, "preflights from other origins are answered, and not sent on")
	s.try(e, r, n, func(r *config.Route) { r.CORS = c })
}

func orNone(name string) string {
	if name == "" {
		return "\x00" // no filter has it
	}
	return name
}

func originOf(t textMatch) string {
	fold := ""
	if t.IgnoreCase {
		fold = "(?i)"
	}
	switch {
	case t.Exact != "":
		return t.Exact
	case t.Prefix != "":
		return "regex:" + fold + quoteRegex(t.Prefix) + ".*"
	case t.Suffix != "":
		return "regex:" + fold + ".*" + quoteRegex(t.Suffix)
	case t.Contains != "":
		return "regex:" + fold + ".*" + quoteRegex(t.Contains) + ".*"
	}
	return "regex:" + t.Regex
}

// words are the parts of a list with commas.
func words(text string) (all []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			all = append(all, word)
		}
	}
	return all
}

// faultOf converts an HTTPFault; false if it does nothing.
func (e *envoy) faultOf(n *node) (*config.Fault, bool) {
	if n.has("headers") || n.has("upstream_cluster") {
		n.readAll()
		e.left(n.line, n.path, "a fault that depends on fields or on the cluster belongs to a route of its own")
		return nil, false
	}
	f := &config.Fault{}
	if d := n.get("delay"); d != nil {
		share := 0.0
		if d.has("percentage") {
			share = percent(d.get("percentage"))
		}
		if d.get("header_delay") != nil {
			f.Headers = true
		} else if fixed := d.duration(0, "fixed_delay"); fixed > 0 {
			f.Delay = &config.FaultDelay{Fixed: fixed, Percent: share}
		}
	}
	if a := n.get("abort"); a != nil {
		share := 0.0
		if a.has("percentage") {
			share = percent(a.get("percentage"))
		}
		switch {
		case a.get("header_abort") != nil:
			f.Headers = true
		case a.has("grpc_status"):
			f.Abort = &config.FaultAbort{Status: 503, GRPCStatus: a.integer(0, "grpc_status"), Percent: share}
		default:
			f.Abort = &config.FaultAbort{Status: a.integer(503, "http_status"), Percent: share}
		}
	}
	if f.Headers {
		e.differs(n.line, n.path, "only trusted_callers of the listener may ask for faults")
	}
	return f, f.Delay != nil || f.Abort != nil || f.Headers
}
