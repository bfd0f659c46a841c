package events

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var start = time.Unix(1_700_000_000, 0)

func at(seconds int, kind Kind, cluster, endpoint, text string) Event {
	return Event{Time: start.Add(time.Duration(seconds) * time.Second), Kind: kind, Service: "web", Cluster: cluster, Endpoint: endpoint, Text: text}
}

// lines is what a ring has, in short.
func lines(all []Event) (list []string) {
	for _, e := range all {
		list = append(list, fmt.Sprintf("%d..%d x%d %s %s %s %s", e.Time.Unix()-start.Unix(), e.Last.Unix()-start.Unix(), e.Count, e.Kind, e.Cluster, e.Endpoint, e.Text))
	}
	return list
}

func TestRing(t *testing.T) {
	many := func(n int) (all []Event) {
		for i := range n {
			all = append(all, at(i, EndpointUnhealthy, "bank", fmt.Sprint("e", i), "down"))
		}
		return all
	}
	for name, tt := range map[string]struct {
		notes []Event
		since int
		want  []string
	}{
		"nothing": {},
		"in order": {
			notes: []Event{at(0, Start, "", "", "started"), at(5, EndpointUnhealthy, "bank", "a", "down"), at(6, EndpointHealthy, "bank", "a", "up")},
			want:  []string{"0..0 x1 start   started", "5..5 x1 endpoint_unhealthy bank a down", "6..6 x1 endpoint_healthy bank a up"},
		},
		"since, by when it happened last": {
			notes: []Event{at(0, CircuitOpen, "bank", "", "open"), at(20, CircuitOpen, "bank", "", "open"), at(10, Reload, "", "", "x")}, since: 15,
			want: []string{"0..20 x2 circuit_open bank  open"},
		},
		"the same is folded": {
			notes: []Event{at(0, CircuitOpen, "bank", "", "open"), at(59, CircuitOpen, "bank", "", "open"), at(60, CircuitOpen, "cart", "", "open"), at(100, CircuitOpen, "bank", "", "open")},
			want:  []string{"0..100 x3 circuit_open bank  open", "60..60 x1 circuit_open cart  open"},
		},
		"but not after a minute": {
			notes: []Event{at(0, CircuitOpen, "bank", "", "open"), at(60, CircuitOpen, "bank", "", "open")},
			want:  []string{"0..0 x1 circuit_open bank  open", "60..60 x1 circuit_open bank  open"},
		},
		"reloads say each what they changed": {
			notes: []Event{at(0, Reload, "", "", "a"), at(1, Reload, "", "", "b")},
			want:  []string{"0..0 x1 reload   a", "1..1 x1 reload   b"},
		},
		"many endpoints": {
			notes: append(many(20), at(21, EndpointUnhealthy, "cart", "e0", "down"), at(22, EndpointUnhealthy, "bank", "e3", "down")),
			want: []string{
				"0..0 x1 endpoint_unhealthy bank e0 down", "1..1 x1 endpoint_unhealthy bank e1 down", "2..2 x1 endpoint_unhealthy bank e2 down", "3..22 x2 endpoint_unhealthy bank e3 down",
				"4..4 x1 endpoint_unhealthy bank e4 down", "5..5 x1 endpoint_unhealthy bank e5 down", "6..6 x1 endpoint_unhealthy bank e6 down", "7..7 x1 endpoint_unhealthy bank e7 down",
				"8..19 x12 endpoint_unhealthy bank  down", "21..21 x1 endpoint_unhealthy cart e0 down",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(100)
			for _, e := range tt.notes {
				r.Note(e)
			}
			if diff := cmp.Diff(tt.want, lines(r.Since(start.Add(time.Duration(tt.since)*time.Second)))); diff != "" {
				t.Error("(-want +got):\n" + diff)
			}
		})
	}
}

func TestRingIsBounded(t *testing.T) {
	r := New(3)
	for i := range 10 {
		r.Note(at(100*i, Reload, "", "", fmt.Sprint(i)))
	}
	if diff := cmp.Diff([]string{"700..700 x1 reload   7", "800..800 x1 reload   8", "900..900 x1 reload   9"}, lines(r.Since(start))); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	r.Note(at(950, Start, "", "", "a\n b "+strings.Repeat("é", maxText)))
	all := r.Since(start)
	if text := all[len(all)-1].Text; len(text) > maxText+len("…") || !strings.HasPrefix(text, "a b é") {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	r.Note(at(960, DiscoveryFailing, "x", "", "Get http://me:secret@10.0.0.1/: refused"))
	all = r.Since(start)
	if text := all[len(all)-1].Text; strings.Contains(text, "secret") {
		t.Error(text)
	}
	var none *Ring
	if none.Note(at(0, Start, "", "", "")); none.Since(start) != nil {
		t.Error("no ring has events")
	}
}

func TestViewNotesOpenCircuits(t *testing.T) {
	r := New(10)
	v := View{r}
	h := &hop.Hop{Labels: &hop.Labels{Service: "web", Cluster: "bank"}, Start: start, End: time.Second}
	v.Observe(h)
	h.Flags, h.Failure.Reason = hop.UpstreamOverflow, "too many"
	v.Observe(h)
	v.Observe(h)
	want := []string{"1..1 x2 circuit_open bank  the circuit breaker of cluster bank is open: too many"}
	if diff := cmp.Diff(want, lines(r.Since(start))); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}
