package diagnose

import (
	"fmt"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// inversion looks for a deadline that is the wrong way around: the caller whose time ran
// out waits for less time than a hop that it waited for may take by its own configuration.
// It says both numbers and which to change; "" if there is none.
func (f *finding) inversion() string {
	if f.waiting == nil || f.waiting.Attempt.Flags&hop.UpstreamTimeout == 0 {
		return ""
	}
	limit := f.waiting.limit()
	for _, n := range f.below() {
		if n.Hop.Timeout <= limit {
			continue
		}
		caller, callee := f.waiting.service(), n.what()
		took := ""
		if n.Hop.Status > 0 && !n.failed() && n.Duration > limit {
			took = fmt.Sprintf(" (this time it answered %s after %s)", n.answer(), duration(n.Duration))
		}
		return inverted(caller, f.waiting.target(), limit, callee, n, took)
	}
	return f.hurried()
}

// hurried looks for the same above: the attempt had less time than its own route allows,
// because a caller waits for less, and had said so.
func (f *finding) hurried() string {
	n := f.waiting
	own := n.Hop.Timeout
	if n.Duration >= own {
		return ""
	}
	var caller *Node // the attempt that waits for the least
	for p := n.parent.parent; p != nil; p = p.parent {
		if p.Attempt != nil && p.Hop.Timeout > 0 && p.Hop.Timeout < own && (caller == nil || p.Hop.Timeout < caller.Hop.Timeout) {
			caller = p
		}
	}
	if caller == nil {
		return ""
	}
	return inverted(caller.service(), caller.target(), caller.Hop.Timeout, n.parent.what(), n, "")
}

// inverted says that the caller waits less for a target than below, the hop of n, may take.
func inverted(caller, target string, limit time.Duration, below string, n *Node, took string) string {
	return fmt.Sprintf("deadline inversion: %s waits %s for %s, but %s may take %s%s: raise the timeout of %s above that, or set that of %s below %s",
		caller, duration(limit), target, below, duration(n.Hop.Timeout), took, caller, n.service(), duration(limit))
}

// limit is how long the attempt could take: its route's timeout, or as long as it took if
// the time of each attempt is limited or the caller's own was shorter.
func (n *Node) limit() time.Duration {
	if t := n.Hop.Timeout; t > 0 && t <= n.Hop.End && n.kind() != "per_try_timeout" {
		return t
	}
	return n.Duration
}

// below returns the hops that the attempt waited for, callers first.
func (f *finding) below() (hops []*Node) {
	for n := f.node; n != nil && n != f.waiting; n = n.parent {
		if n.Attempt == nil {
			hops = append(hops, n)
		}
	}
	if pair := f.waiting.pair(); len(hops) == 0 && pair != nil {
		return []*Node{pair}
	}
	slices.Reverse(hops)
	return hops
}

// target is what an attempt waits for, in words.
func (n *Node) target() string {
	if n.Hop.Labels.Direction == hop.Inbound {
		return "its application"
	}
	return n.callee()
}

// what says in words what the timeout of a hop is for.
func (n *Node) what() string {
	if n.Hop.Labels.Direction == hop.Inbound {
		return "the application of " + n.service()
	}
	name := host(n.Hop)
	for _, c := range n.Children {
		if c.Attempt != nil {
			name = c.callee()
		}
	}
	return "a call of " + name + " by " + n.service()
}
