package diagnose

import (
	"encoding/json"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// FuzzBuildFromJSON: whatever other proxies say of their hops, there is a diagnosis of it.
func FuzzBuildFromJSON(f *testing.F) {
	for _, hops := range drawings() {
		data, err := json.Marshal(hops)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, hops := range [][]*hop.Hop{
		chain(timedOut, underWay, underWay, underWay, underWay), chain(timedOut, cut, cut, cut, cut),
		chain(answers500, answers500, answers500, answers500, answers500), calls(5, 10, 50, true),
	} {
		data, err := json.Marshal(hops)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`[{"trace_id":"00000000000000000000000000000001","end_ns":9223372036854775807,"start":"2026-03-04T05:06:07Z","attempts":[{"start_ns":-9223372036854775808,"end_ns":9223372036854775807,"flags":"UT"}],"status":504}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var hops []*hop.Hop
		if json.Unmarshal(data, &hops) != nil || len(hops) > 64 {
			return
		}
		for _, h := range hops {
			if h == nil {
				continue
			}
			trace := Build(h.Trace, hops)
			trace.Text()
			for _, c := range []*Culprit{trace.Culprit, trace.Inner, trace.Slowest} {
				if c != nil && (c.Node == nil || len(c.Evidence) > maxEvidence) {
					t.Fatalf("a culprit without its node, or with too much evidence: %+v", c)
				}
			}
			break
		}
		LostContext(hops)
	})
}
