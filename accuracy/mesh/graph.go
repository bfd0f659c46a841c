package mesh

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hopscope/hopscope/accuracy/app"
)

// Graph is who calls whom, the root first. Callees come after their callers.
type Graph struct {
	Shape    string
	Services []*Service
}

// Service is one service of a Graph.
type Service struct {
	Name        string
	GRPC        bool
	Calls       []app.Call
	Concurrent  bool
	DropHeaders bool
	FailStatus  int
	// Timeout is that of the routes of its sidecar.
	Timeout time.Duration
}

// Root is the service that takes the requests from outside.
func (g *Graph) Root() string { return g.Services[0].Name }

// Service returns the service with the name.
func (g *Graph) Service(name string) *Service {
	for _, s := range g.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Callers are the services that call the one with the name.
func (g *Graph) Callers(name string) (callers []string) {
	for _, s := range g.Services {
		if slices.ContainsFunc(s.Calls, func(c app.Call) bool { return c.To == name }) {
			callers = append(callers, s.Name)
		}
	}
	return callers
}

// Call returns the call that one service makes to another, so that a fault can change it.
// It is nil if the service does not call the other.
func (g *Graph) Call(caller, callee string) *app.Call {
	for i := range g.Service(caller).Calls {
		if c := &g.Service(caller).Calls[i]; c.To == callee {
			return c
		}
	}
	return nil
}

// FailsRoot reports whether a request to the root fails if every call of the edge does;
// with an empty caller, every call of the callee.
func (g *Graph) FailsRoot(caller, callee string) bool {
	fails := map[string]bool{}
	for _, s := range slices.Backward(g.Services) {
		for _, c := range s.Calls {
			failed := fails[c.To] || c.To == callee && (caller == "" || caller == s.Name)
			if failed && c.OnFailure != app.Swallow {
				fails[s.Name] = true
			}
		}
	}
	return fails[g.Root()]
}

// Caches reports whether any application keeps answers.
func (g *Graph) Caches() bool {
	for _, s := range g.Services {
		if slices.ContainsFunc(s.Calls, func(c app.Call) bool { return c.CacheFor > 0 }) {
			return true
		}
	}
	return false
}

// calls counts how often each service is called for one request in which nothing fails.
func (g *Graph) calls() map[string]int {
	of := map[string]int{g.Root(): 1}
	for _, s := range g.Services {
		for _, c := range s.Calls {
			of[c.To] += of[s.Name] * max(c.Times, 1)
		}
	}
	return of
}

// Shapes are the kinds of graphs that [Generate] makes.
var Shapes = []string{"chain", "fan", "diamond", "web"}

var names = []string{
	"frontend", "checkout", "cart", "catalog", "payments", "shipping", "currency", "email", "ads", "recommendations",
	"stock", "prices", "users", "sessions", "search", "reviews", "ratings", "images", "orders", "invoices",
	"taxes", "fraud", "ledger", "bank", "quotes", "addresses", "carriers", "labels", "returns", "coupons",
	"loyalty", "wishlist", "notifications", "templates", "audit", "geo", "weather", "translations", "features", "tokens",
}

// maxCalls is how often a service may be called for one request.
const maxCalls = 6

// Options say what a graph may have.
type Options struct {
	Shape    string // one of [Shapes]
	Services int    // from 2 to 40
	// GRPC lets a third of the services speak gRPC.
	GRPC bool
	// Reactions lets applications do else than answer an error with an error.
	Reactions bool
	Timeout   time.Duration
}

// Generate makes a graph. The same random source makes the same graph.
func Generate(r *rand.Rand, o Options) *Graph {
	g := &Graph{Shape: o.Shape}
	n := min(max(o.Services, 2), len(names))
	others := r.Perm(len(names) - 1)
	for i := range n {
		s := &Service{Name: names[0], FailStatus: 500 + 2*r.IntN(2), Concurrent: r.IntN(3) == 0, Timeout: o.Timeout}
		if i > 0 {
			s.Name, s.GRPC = names[1+others[i-1]], o.GRPC && r.IntN(3) == 0
		}
		g.Services = append(g.Services, s)
	}
	for i := 1; i < n; i++ {
		for _, caller := range callersOf(r, o.Shape, i, n) {
			g.connect(r, o, caller, i)
		}
	}
	return g
}

// callersOf chooses the callers of service i of n, at least one.
func callersOf(r *rand.Rand, shape string, i, n int) []int {
	switch shape {
	case "chain":
		return []int{i - 1}
	case "fan":
		if i > n/2 {
			return []int{1 + r.IntN(n/2)}
		}
		return []int{0}
	case "diamond": // layers of two, each calling the whole next layer
		if i <= 2 {
			return []int{0}
		}
		first := (i-3)/2*2 + 1
		return []int{first, first + 1}
	default:
		callers := []int{r.IntN(i)}
		if other := r.IntN(i); other != callers[0] && r.IntN(3) == 0 {
			callers = append(callers, other)
		}
		return callers
	}
}

// connect makes caller call callee, unless the callee has a caller and is called often
// enough.
func (g *Graph) connect(r *rand.Rand, o Options, caller, callee int) {
	s := g.Services[caller]
	c := app.Call{To: g.Services[callee].Name, GRPC: g.Services[callee].GRPC, Times: 1, OnFailure: app.Fail}
	if r.IntN(6) == 0 {
		c.Times = 2 + r.IntN(4)
	}
	if o.Reactions {
		switch r.IntN(10) {
		case 0:
			c.OnFailure = app.Swallow
		case 1, 2:
			c.OnFailure = app.Retry
		case 3:
			c.OnFailure = app.Late
		}
		if r.IntN(12) == 0 {
			c.CacheFor = 2 + r.IntN(3)
		}
	}
	of := g.calls()
	if of[s.Name]*c.Times > maxCalls {
		c.Times = 1
	}
	if of[c.To] == 0 || of[c.To]+of[s.Name]*c.Times <= maxCalls {
		s.Calls = append(s.Calls, c)
	}
}

// String is the graph in words, an edge each.
func (g *Graph) String() string {
	var b []byte
	for _, s := range g.Services {
		for _, c := range s.Calls {
			b = fmt.Appendf(b, "%s -> %s x%d %s", s.Name, c.To, max(c.Times, 1), c.OnFailure)
			if c.GRPC {
				b = append(b, " grpc"...)
			}
			if c.CacheFor > 0 {
				b = fmt.Appendf(b, " cached %d", c.CacheFor)
			}
			b = append(b, '\n')
		}
	}
	return string(b)
}
