package mesh

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hopscope/hopscope/accuracy/app"
)

func TestGenerate(t *testing.T) {
	for _, shape := range Shapes {
		for n := 2; n <= 40; n++ {
			o := Options{Shape: shape, Services: n, GRPC: true, Reactions: true, Timeout: time.Second}
			make := func() *Graph { return Generate(rand.New(rand.NewPCG(7, uint64(n))), o) }
			g := make()
			if again := make(); g.String() != again.String() {
				t.Fatalf("%s of %d: the same source made another graph:\n%s\n%s", shape, n, g, again)
			}
			if len(g.Services) != n {
				t.Errorf("%s of %d: %d services", shape, n, len(g.Services))
			}
			for name, calls := range g.calls() {
				if calls > maxCalls {
					t.Errorf("%s of %d: %d calls of %s", shape, n, calls, name)
				}
			}
			seen := map[string]bool{}
			for i, s := range g.Services {
				if i > 0 && len(g.Callers(s.Name)) == 0 {
					t.Errorf("%s of %d: nobody calls %s", shape, n, s.Name)
				}
				if g.Services[0].GRPC {
					t.Errorf("%s of %d: the root speaks gRPC", shape, n)
				}
				seen[s.Name] = true
				for _, c := range s.Calls {
					if seen[c.To] {
						t.Errorf("%s of %d: %s calls %s, which comes before it", shape, n, s.Name, c.To)
					}
					if c.GRPC != g.Service(c.To).GRPC {
						t.Errorf("%s of %d: %s calls %s in another protocol", shape, n, s.Name, c.To)
					}
				}
			}
		}
	}
}

func TestFailsRoot(t *testing.T) {
	g := &Graph{Services: []*Service{
		{Name: "web", Calls: []app.Call{{To: "cart", OnFailure: app.Fail}, {To: "ads", OnFailure: app.Swallow}}},
		{Name: "cart", Calls: []app.Call{{To: "stock", OnFailure: app.Retry}}},
		{Name: "ads", Calls: []app.Call{{To: "stock", OnFailure: app.Late}, {To: "geo", OnFailure: app.Fail}}},
		{Name: "stock"},
		{Name: "geo"},
	}}
	for _, tt := range []struct {
		caller, callee string
		want           bool
	}{
		{"", "stock", true},
		{"cart", "stock", true},
		{"ads", "stock", false},
		{"", "geo", false},
		{"", "ads", false},
		{"", "cart", true},
	} {
		if got := g.FailsRoot(tt.caller, tt.callee); got != tt.want {
			t.Errorf("%s -> %s fails the root: %t, want %t", tt.caller, tt.callee, got, tt.want)
		}
	}
}
