package demo

import (
	"bytes"
	"slices"
	"testing"
)

func TestGraph(t *testing.T) {
	g := graph()
	var known []string
	for _, n := range g {
		for _, c := range n.calls {
			if !slices.Contains(known, c) {
				t.Errorf("%s calls %s, which is not started before it", n.name, c)
			}
		}
		if slices.Contains(known, n.name) {
			t.Errorf("%s is there twice", n.name)
		}
		known = append(known, n.name)
	}
	if len(known)-1 < 6 {
		t.Errorf("%d services with a sidecar", len(known)-1)
	}
	var depth func(name string) int
	depth = func(name string) int {
		deepest := 0
		for _, c := range find(g, name).calls {
			deepest = max(deepest, depth(c))
		}
		return deepest + 1
	}
	if d := depth(entry); d < 4 {
		t.Errorf("the graph is %d deep", d)
	}
	var out bytes.Buffer
	drawGraph(&out, []node{
		{name: "b"}, {name: "c", note: "slow"}, {name: "a", calls: []string{"b", "c"}}, {name: entry, calls: []string{"a", "c"}, note: "first"},
	}, "  ")
	const want = `  web                           first
  ├─ a
  │  ├─ b
  │  └─ c                       slow
  └─ c                          slow
`
	if out.String() != want {
		t.Errorf("drawn:\n%s\nwant:\n%s", out.String(), want)
	}
}
