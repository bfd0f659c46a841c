package diagnose

import (
	"cmp"
	"fmt"
	"slices"
)

// Break is a place where traces are cut.
type Break struct {
	// Service is the service that cuts them, as far as is known.
	Service string
	// Count is how often it was seen.
	Count int
	// Reason says what was seen, and how to fix it.
	Reason string
}

// String is the service and the reason.
func (b Break) String() string { return b.Service + ": " + b.Reason }

// cuts finds the hops of the trace without their caller: those that were put below the
// first root by their time, and those that had no place.
func (t *Trace) cuts() []Break {
	found := breaks{}
	for _, root := range t.Roots {
		root.walk(func(n *Node) {
			if n.Attempt != nil || !n.Inferred || n.parent.service() == n.service() {
				return
			}
			found.add(n.parent.service(), n.service())
		})
	}
	for _, root := range t.Roots[min(1, len(t.Roots)):] {
		found.add("", root.service())
	}
	return found.list(func(service, callee string, _ int) (string, string) {
		if service == "" {
			return callee, "what called it is not among the hops: a caller without a proxy, or a proxy that was not asked"
		}
		return service, fmt.Sprintf("its call to %s names a span that no hop has: send the application's calls through its proxy, too", callee)
	})
}

// walk visits n and all below it, callers first.
func (n *Node) walk(visit func(*Node)) {
	visit(n)
	for _, c := range n.Children {
		c.walk(visit)
	}
}

// breaks counts cuts, by the service that cuts and the one beyond.
type breaks map[[2]string]int

func (b breaks) add(service, callee string) { b[[2]string{service, callee}]++ }

// list describes them in words, the most frequent first.
func (b breaks) list(words func(service, callee string, count int) (name, reason string)) (all []Break) {
	for key, count := range b {
		name, reason := words(key[0], key[1], count)
		all = append(all, Break{name, count, reason})
	}
	slices.SortFunc(all, func(x, y Break) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}
