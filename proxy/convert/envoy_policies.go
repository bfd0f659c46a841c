package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// cors converts a CorsPolicy, which only routes and what is around them have.
func (s *filterSet) cors(e *envoy, r *config.Route, n *node, shared bool) {
	if shared {
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

// originOf is an origin as hopscope has it.
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

// fault converts an HTTPFault.
func (s *filterSet) fault(e *envoy, r *config.Route, n *node, _ bool) {
	if f, ok := e.faultOf(n); ok {
		s.try(e, r, n, func(r *config.Route) { r.Fault = f })
	}
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

// buffer converts a Buffer.
func (s *filterSet) buffer(e *envoy, r *config.Route, n *node, _ bool) {
	if most := n.str("max_request_bytes"); most != "" && len(r.Targets()) > 0 {
		s.try(e, r, n, func(r *config.Route) { r.Body = &config.Body{Max: most, Buffer: true} })
	}
}

// compress adds the algorithm of a Compressor.
func (s *filterSet) compress(e *envoy, r *config.Route, n *node, _ bool) {
	n.skip("choose_first")
	algorithm := e.algorithm(n, "compressor_library")
	common := n.get("response_direction_config").get("common_config")
	if off := turnedOff(common, "enabled"); off || algorithm == "" {
		common.readAll()
		return
	}
	c := &config.Compress{Algorithms: []string{algorithm}, MinBytes: 30, Types: common.strs("content_type")}
	c.MinBytes = common.integer(n.integer(c.MinBytes, "content_length"), "min_content_length")
	if c.Types == nil {
		c.Types = n.strs("content_type")
	}
	if c.Types == nil {
		c.Types = []string{"application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/html", "text/plain", "text/xml"}
	}
	if before := r.Compress; before != nil {
		if c.MinBytes != before.MinBytes || !slices.Equal(c.Types, before.Types) {
			e.differs(n.line, n.path, "its length and types are those of the compressor before it: hopscope has one list for all algorithms")
		}
		c.Algorithms, c.MinBytes, c.Types = append(slices.Clone(before.Algorithms), algorithm), before.MinBytes, before.Types
	}
	s.try(e, r, n, func(r *config.Route) { r.Compress = c })
}

// decompress adds the algorithm of a Decompressor.
func (s *filterSet) decompress(e *envoy, r *config.Route, n *node, _ bool) {
	algorithm := e.algorithm(n, "decompressor_library")
	requests, responses := n.get("request_direction_config"), n.get("response_direction_config")
	requests.skip("advertise_accept_encoding") // which is about responses
	if !turnedOff(responses.get("common_config"), "enabled") {
		responses.readAll()
		e.left(n.line, n.path, "hopscope decompresses requests, not responses")
	}
	if off := turnedOff(requests.get("common_config"), "enabled"); off || algorithm == "" || len(r.Targets()) == 0 {
		return
	}
	d := config.NewDecompress()
	e.differs(n.line, n.path, "a request of more than %s is answered with 413: see decompress.max", d.Max)
	d.Algorithms = []string{algorithm}
	if r.Decompress != nil {
		d.Algorithms = append(slices.Clone(r.Decompress.Algorithms), algorithm)
	}
	s.try(e, r, n, func(r *config.Route) { r.Decompress = d })
}

// algorithm is the name of the coding of a library; empty if hopscope does not have it.
func (e *envoy) algorithm(n *node, library string) string {
	kind := typeOf(n.get(library))
	n.skip(library)
	algorithm := map[string]string{"Gzip": "gzip", "Brotli": "br", "Zstd": "zstd"}[kind]
	if algorithm == "" {
		e.left(n.line, n.path, "hopscope's codings are gzip, br and zstd")
	}
	return algorithm
}

// bandwidth converts a BandwidthLimit.
func (s *filterSet) bandwidth(e *envoy, r *config.Route, n *node, shared bool) {
	n.skip("stat_prefix", "fill_interval")
	mode, limit := n.str("enable_mode"), n.str("limit_kbps")+"KiB"
	if turnedOff(n, "runtime_enabled") || mode == "" || mode == "DISABLED" {
		n.readAll()
		return
	}
	if !n.has("limit_kbps") || len(r.Targets()) == 0 {
		return
	}
	b := config.Bandwidth{Request: "0", Response: "0"}
	if strings.HasPrefix(mode, "REQUEST") {
		b.Request = limit
	}
	if strings.HasSuffix(mode, "RESPONSE") {
		b.Response = limit
	}
	if shared {
		e.differs(n.line, n.path, "each route has the whole bandwidth for itself; in Envoy all routes share it")
	}
	s.try(e, r, n, func(r *config.Route) { r.Bandwidth = &b })
}
