package forward

import (
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// entered reports whether a request entered the mesh at this proxy. It did if it is not
// marked by another one, and is no call that the service makes for a request of its own. A
// failed request counts there, and nowhere else.
//
// That a call is for a request is known by its trace, which the request has, too. A call of
// an application that passes no trace context on is taken to be for one if there is one
// under way, since nothing tells.
func (f *Forwarder) entered(x *filter.Exchange) bool {
	h := x.Hop
	switch {
	case x.Trace.Inside:
		return false
	case h.Labels.Direction == hop.Inbound || f.UnderWay == nil:
		return true
	case !x.Active.Caller().Span.IsZero():
		return false
	case !h.Parent.IsZero():
		return !f.UnderWay.Calls(h) // what failed before it had an endpoint has not entered the table
	}
	return f.Causes == nil || f.Causes.Passes.Load() || f.UnderWay.Serving(h.Labels.Service, 1) == 0
}
