package earlydata

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// unavailable is what gRPC calls get: they are tried again, as 425 asks for.
var unavailable = hop.GRPCStatusOf(14)

// New returns the filter. With safe it lets requests through whose method is safe (RFC 9110
// section 9.2.1): to get them again does no harm.
func New(safe bool) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			r := &x.Request
			// What is malformed counts as 1 (RFC 8470 section 5.1).
			if _, early := r.Lookup("early-data"); !early || safe && harmless(r.Method) {
				return next(x)
			}
			return &fault.Answer{Status: 425, GRPC: unavailable, Details: "too_early"}
		}
	}
}

func harmless(m message.Method) bool {
	return m == message.GET || m == message.HEAD || m == message.OPTIONS || m == message.TRACE
}
