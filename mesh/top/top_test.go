package top

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tally"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// counts are those of a proxy some seconds after its start: of the service itself, and of
// its calls of another.
func counts(service string, seconds int, own, calls uint64, callee string) *Counts {
	c := &Counts{Service: service, Started: start, At: start.Add(time.Duration(seconds) * time.Second), Listens: []string{"10.0.0.1:80/" + service}}
	of := func(d hop.Direction, n uint64) *tally.Total {
		t := &tally.Total{Edge: tally.Edge{Direction: d}, Requests: n, Failed: n / 2}
		t.Durations[10] = n
		return t
	}
	c.Add("", of(hop.Inbound, own))
	c.Add(callee, of(hop.Outbound, calls))
	return c
}

func TestRates(t *testing.T) {
	before := map[string]*Counts{"a": counts("web", 10, 100, 50, "10.0.0.1:80/orders"), "b": counts("orders", 10, 50, 0, "bank")}
	after := map[string]*Counts{"a": counts("web", 12, 120, 60, "10.0.0.1:80/orders"), "b": counts("orders", 12, 60, 0, "bank"), "c": counts("new", 100, 9, 9, "bank")}
	after["a"].LostContext = 7
	restarted := counts("orders", 2, 10, 4, "bank")
	restarted.Started, restarted.At = start.Add(10*time.Second), start.Add(12*time.Second)

	p50, p99 := (tally.Bound(9)+tally.Bound(10))/2, tally.Bound(9)+(tally.Bound(10)-tally.Bound(9))*99/100
	row := func(service, caller string, rate float64) Row {
		return Row{Service: service, Caller: caller, Rate: rate, Failing: rate / 2, P50: p50, P99: p99}
	}
	want := &Table{
		Interval: 2 * time.Second, Services: []Row{row("web", "", 10), row("orders", "", 5)}, Edges: []Row{row("orders", "web", 5), {Service: "bank", Caller: "orders"}},
		Lost: []Lost{{"web", 7}},
	}
	got := Rates(before, after)
	near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 10 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	text := string(got.AppendText(nil, diagnose.TextOptions{}, 1))
	for _, line := range []string{"web                  10.0        5.0   50.0%      2.7ms      3.2ms\n", "and 1 more\n", "web -> orders", "trace context is lost at web: 7 of its calls"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}

	after["b"] = restarted
	if got := Rates(before, after); got.Services[1].Rate != 5 || got.Edges[1].Rate != 2 {
		t.Errorf("after a restart: %+v", got)
	}
	if got := Rates(nil, after); got.Services[0].Rate != 10 || got.Interval != 100*time.Second {
		t.Errorf("since the start: %+v", got)
	}
}

// FuzzCounts: whatever a proxy answers, a table can be made of it.
func FuzzCounts(f *testing.F) {
	text, err := json.Marshal(counts("web", 10, 100, 50, "orders"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"service":"x\u001b","at":"2026-03-04T05:06:07Z","started":"2026-03-04T05:06:07Z","edges":[{"callee":"\u0007","requests":5,"durations":[18446744073709551615]}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := new(Counts)
		if json.Unmarshal(answer, c) != nil || c.Check() != nil {
			return
		}
		table := Rates(map[string]*Counts{"a": c, "b": counts("web", 10, 100, 50, "x")}, map[string]*Counts{"a": counts(c.Service, 20, 1, 1, "x"), "b": c, "c": c})
		if text := string(table.AppendText(nil, diagnose.TextOptions{}, 0)); strings.ContainsAny(text, "\x1b\x07\r") {
			t.Fatalf("the text has control characters: %q", text)
		}
		if _, err := json.Marshal(table); err != nil {
			t.Fatal(err)
		}
	})
}
