package catalog

import (
	"math"
	"slices"

	"github.com/hopscope/hopscope/discovery"
)

// whole is all of a route's traffic in weights of endpoints: shares are true to
// a hundredth of a percent.
const whole = 10_000

// weigh gives the members' endpoints the weights that their tags say, as Fabio
// does: a fixed share for some, and what these leave for the others, in
// proportion to the catalog's weights. Fixed shares are scaled down to a whole
// where they are more, and up where there are no others. Shares are for those
// that can serve, since Fabio sees no others. Where nothing is left for the
// others, they stand by in the next priority.
func weigh(members []member) []discovery.Endpoint {
	endpoints := make([]discovery.Endpoint, len(members))
	fixed, others, last, weighted := 0.0, 0.0, 0, false
	none := !slices.ContainsFunc(members, member.serves)
	for i := range members {
		m := &members[i]
		endpoints[i] = *m.endpoint
		weighted = weighted || m.tag.weight > 0
		last = max(last, m.endpoint.Priority)
		switch {
		case !m.serves() && !none:
		case m.tag.weight > 0:
			fixed += m.tag.weight
		default:
			others += plainWeight(*m)
		}
	}
	if !weighted {
		return endpoints
	}
	scale := 1.0
	if fixed > 1 || fixed > 0 && others == 0 {
		scale = 1 / fixed
	}
	left := max(1-fixed, 0)
	for i := range members {
		m, e := &members[i], &endpoints[i]
		switch {
		case e.Weight == 0: // it gets no requests, whatever its tag says
		case m.tag.weight > 0:
			e.Weight = portion(m.tag.weight * scale)
		case left*whole < 0.5 && others > 0:
			e.Priority = last + 1
		case others > 0:
			e.Weight = portion(left * plainWeight(*m) / others)
		}
	}
	return endpoints
}

func plainWeight(m member) float64 { return float64(max(m.endpoint.Weight, 1)) }

// portion is a share of the whole, and never nothing.
func portion(share float64) int { return max(int(math.Round(share*whole)), 1) }
