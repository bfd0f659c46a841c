package convert

import (
	"cmp"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// ownCounts is what differs about limits of a filter, which hopscope has by route.
const ownCounts = "each route counts its own requests; in Envoy the filter counts those of all routes"

// admission converts an AdmissionControl.
func (s *filterSet) admission(e *envoy, r *config.Route, n *node, _ bool) {
	if turnedOff(n, "enabled") {
		n.readAll()
		return
	}
	a := config.NewAdmissionControl()
	a.SamplingWindow = n.duration(a.SamplingWindow, "sampling_window").Round(time.Second)
	a.SuccessRateThreshold = runtimeValue(n, a.SuccessRateThreshold, "sr_threshold", "value")
	a.Aggression = max(runtimeValue(n, a.Aggression, "aggression"), 1)
	a.RPSThreshold = runtimeValue(n, a.RPSThreshold, "rps_threshold")
	a.MaxRejectionPercent = runtimeValue(n, a.MaxRejectionPercent, "max_rejection_probability", "value")
	success := n.get("success_criteria")
	if ranges := success.get("http_criteria").list("http_success_status"); len(ranges) > 0 {
		a.SuccessStatuses = nil
		for _, r := range ranges {
			a.SuccessStatuses = append(a.SuccessStatuses, statuses(r.integer(0, "start"), r.integer(0, "end")-1))
		}
	}
	if codes := success.get("grpc_criteria").strs("grpc_success_status"); len(codes) > 0 {
		a.SuccessGRPCStatuses = nil
		for _, code := range codes {
			a.SuccessGRPCStatuses = append(a.SuccessGRPCStatuses, number(code))
		}
	}
	if len(r.Targets()) == 0 {
		return
	}
	e.differs(n.line, n.path, ownCounts)
	s.try(e, r, n, func(r *config.Route) { r.AdmissionControl = a })
}

// runtimeValue reads a value that the runtime may change: its default.
func runtimeValue(n *node, def float64, name string, within ...string) float64 {
	f := n.get(name)
	f.skip("runtime_key")
	if value, ok := f.number(append([]string{"default_value"}, within...)...); ok {
		return value
	}
	return def
}

// adaptive converts an AdaptiveConcurrency.
func (s *filterSet) adaptive(e *envoy, r *config.Route, n *node, _ bool) {
	if turnedOff(n, "enabled") {
		n.readAll()
		return
	}
	g := n.get("gradient_controller_config")
	limit, rtt := g.get("concurrency_limit_params"), g.get("min_rtt_calc_params")
	a := config.NewAdaptiveConcurrency()
	a.Percentile = valueOf(g, a.Percentile, "sample_aggregate_percentile")
	a.MaxConcurrency = limit.integer(a.MaxConcurrency, "max_concurrency_limit")
	a.UpdateInterval = limit.duration(a.UpdateInterval, "concurrency_update_interval")
	a.MinConcurrency = rtt.integer(a.MinConcurrency, "min_concurrency")
	if m := limit.find("min_concurrency_limit"); m != nil && m.text == strconv.Itoa(a.MinConcurrency) {
		m.readAll()
	}
	m := &a.MinRTT
	m.Interval, m.Fixed = rtt.duration(m.Interval, "interval"), rtt.duration(0, "fixed_value")
	m.Requests = rtt.integer(m.Requests, "request_count")
	m.Jitter, m.Buffer = valueOf(rtt, m.Jitter, "jitter"), valueOf(rtt, m.Buffer, "buffer")
	if len(r.Targets()) == 0 {
		return
	}
	e.differs(n.line, n.path, ownCounts)
	s.try(e, r, n, func(r *config.Route) { r.AdaptiveConcurrency = a })
	if status := n.get("concurrency_limit_exceeded_status"); status != nil && r.AdaptiveConcurrency != nil {
		s.shed(e, r, status)
	}
}

// shed converts the status of requests that a limit does not let through.
func (s *filterSet) shed(e *envoy, r *config.Route, n *node) {
	switch code := n.str("code"); code {
	case "503", "ServiceUnavailable":
	case "429", "TooManyRequests":
		shed := config.NewShed()
		shed.Status = 429
		s.try(e, r, n, func(r *config.Route) { r.Shed = shed })
	default:
		e.left(n.line, n.path, "%s: a request that is not let through gets 503 or 429: see shed of a route", code)
	}
}

// valueOf reads a Percent.
func valueOf(n *node, def float64, name string) float64 {
	if value, ok := n.number(name, "value"); ok {
		return value
	}
	return def
}

// connectionLimit converts a ConnectionLimit, a network filter.
func (e *envoy) connectionLimit(l *config.Listener, f *node) {
	f.skip("name")
	n := f.get("typed_config")
	n.skip("@type", "stat_prefix")
	if turnedOff(n, "runtime_enabled") {
		n.readAll()
		return
	}
	l.MaxConnections = n.integer(0, "max_connections")
	e.differs(n.line, n.path, "one connection more closes the one that has been idle for longest, or waits; Envoy closes it")
}

// streamDuration converts the time for a whole stream, for which hopscope has the time for a
// response. A route that has max_stream_duration takes no heed of its timeout.
func (e *envoy) streamDuration(r *config.Route, action, outer *node) {
	own := action.get("max_stream_duration")
	limit := outer
	if own != nil {
		r.Timeout = 0
		limit = cmp.Or(own.get("max_stream_duration"), outer)
	}
	if d, err := time.ParseDuration(limit.scalarText()); err == nil && d > 0 && (r.Timeout == 0 || d < r.Timeout) {
		e.differs(limit.line, limit.path, "it is the timeout of routes here, which counts from the end of the request, and not in tunnels")
		r.Timeout = d
	}
	if most := own.find("grpc_timeout_header_max"); most != nil {
		if d := own.duration(0, "grpc_timeout_header_max"); d > 0 {
			e.differs(most.line, most.path, "a call has the time that it asks for, but at most the route's timeout")
		}
	}
}
