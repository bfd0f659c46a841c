package series

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)

// after is an instant shortly after the end of window n, 0 being the first.
func after(n int) time.Time {
	return start.Add(time.Duration(n+1)*Window + 50*time.Millisecond)
}

func counts(requests, failed uint64, durations ...uint64) *Count {
	return &Count{Requests: requests, Failed: failed, Durations: durations}
}

var web = Key{Edge, "inbound", ""}

func TestRing(t *testing.T) {
	r := New()
	r.Add(after(0), map[Key]*Count{web: counts(10, 1, 10), {Kind: Edge, First: "outbound", Second: "idle"}: counts(0, 0)})
	r.Add(after(1), map[Key]*Count{web: counts(10, 1, 10)})
	r.Add(after(2), map[Key]*Count{web: counts(15, 3, 11, 0, 4)})
	r.Add(after(3), map[Key]*Count{web: counts(2, 0, 2)}) // it began anew
	r.Add(after(3), map[Key]*Count{web: counts(3, 0, 3)}) // twice in a window
	p := r.Part(after(3), 3)
	want := []Line{{Direction: "inbound", Requests: []uint32{0, 5, 3}, Failed: []uint32{0, 2, 0}, Slow: []uint32{0, 0, 0}, Durations: [][]uint32{{}, {1, 0, 4}, {3}}}}
	if diff := cmp.Diff(want, p.Edges); diff != "" || !p.Until.Equal(start.Add(4*Window)) || p.Windows != 3 {
		t.Errorf("until %v (-want +got):\n%s", p.Until, diff)
	}
	if last := r.Last(web); !last.Equal(start.Add(4 * Window)) {
		t.Errorf("last %v", last)
	}
	// An hour later it is forgotten, and its room is free.
	r.Add(after(4+Windows), nil)
	if p := r.Part(after(4+Windows), Windows); len(p.Edges) != 0 || r.size != 0 || len(r.lines) != 0 {
		t.Errorf("%+v, %d bytes", p.Edges, r.size)
	}
}

// TestRingIsBounded: whatever is counted, the ring has the size that it may have.
func TestRingIsBounded(t *testing.T) {
	r := New()
	all := map[Key]*Count{}
	for n := range Windows + 10 {
		for i := range 600 {
			k := Key{Route, "GET", fmt.Sprint("/", i)}
			if all[k] == nil {
				all[k] = counts(0, 0, make([]uint64, 40)...)
			}
			all[k].Requests++
			all[k].Durations[39]++
		}
		r.Add(after(n), all)
	}
	size := 0
	for _, l := range r.lines {
		size += lineSize
		for i := range l.cells {
			size += 4 * len(l.cells[i].durations)
		}
	}
	if size != r.size || size > maxRing || !r.Part(after(Windows), 5).Full || len(r.lines) < 200 {
		t.Errorf("%d bytes of %d lines, counted as %d", size, len(r.lines), r.size)
	}
}

func TestSpread(t *testing.T) {
	p := &Part{Until: start.Add(4 * Window), Windows: 4}
	for _, tt := range []struct {
		from, to time.Duration
		want     []uint32
	}{
		{0, 2 * Window, []uint32{50, 50, 0, 0}},
		{Window / 2, 5 * Window / 2, []uint32{25, 50, 25, 0}},
		{-Window, Window, []uint32{50, 0, 0, 0}},
		{3 * Window, 5 * Window, []uint32{0, 0, 0, 50}},
		{Window, Window + time.Second, []uint32{0, 100, 0, 0}},
		{Window, Window, []uint32{0, 0, 0, 0}},
	} {
		var l Line
		p.Spread(&l, start.Add(tt.from), start.Add(tt.to), 100, 100)
		if !slices.Equal(l.Requests, tt.want) || !slices.Equal(l.Failed, tt.want) {
			t.Errorf("from %v to %v: %v, want %v", tt.from, tt.to, l.Requests, tt.want)
		}
	}
}

// part is what a proxy has told: a number for each window.
func part(service string, edges ...Line) Told {
	return Told{service + ":9901", &Part{
		Service: service, Started: start, Until: start.Add(2 * Window), Windows: 2, Listens: []string{"10.0.0.1:80/" + service},
		EdgeBounds: []time.Duration{10, 20, 40}, RouteBounds: []time.Duration{100}, Edges: edges,
	}}
}

func numbers(direction, callee string, requests, failed uint32) Line {
	return Line{
		Direction: direction, Callee: callee, Requests: []uint32{requests, requests}, Failed: []uint32{0, failed}, Slow: []uint32{0, 1},
		Durations: [][]uint32{{requests}, {0, 0, 0, requests}},
	}
}

// find returns a row by its service and caller.
func find(t *testing.T, all []Row, service, caller string) Row {
	t.Helper()
	i := slices.IndexFunc(all, func(r Row) bool { return r.Service == service && r.Caller == caller })
	if i < 0 {
		t.Fatalf("no row of %q -> %q in %+v", caller, service, all)
	}
	return all[i]
}

func TestMerge(t *testing.T) {
	web := part("web", numbers("inbound", "", 100, 10), numbers("outbound", "10.0.0.1:80/orders", 100, 10))
	web.Blamed = []Line{{Callee: "bank", Caller: "orders", Requests: []uint32{0, 0}, Failed: []uint32{0, 10}}}
	web.Routes = []Line{{Method: "GET", Route: "/buy", Requests: []uint32{100, 100}, Failed: []uint32{0, 10}, Durations: [][]uint32{{100}, {0, 100}}}}
	web.Endpoints = []Line{{Cluster: "orders", Endpoint: "10.0.0.1:80/orders", Callee: "orders", Requests: []uint32{100, 100}, Failed: []uint32{0, 10}}, {Cluster: "web", Endpoint: "127.0.0.1:3000", Requests: []uint32{1, 1}}}
	orders := part("orders", numbers("inbound", "", 99, 10), numbers("outbound", "bank", 100, 10))
	late := part("orders", numbers("inbound", "", 1, 0))
	late.Address, late.Until = "late:9901", start.Add(Window)
	table := Merge([]Told{web, orders, late}, start.Add(2*Window+time.Second), 100)
	if table.Windows != 2 || !table.Since.Equal(start) || !table.Until.Equal(start.Add(2*Window)) || table.Window != Window {
		t.Errorf("%d windows from %v to %v", table.Windows, table.Since, table.Until)
	}
	if len(table.Services) != 3 || len(table.Edges) != 3 || len(table.Routes) != 1 || len(table.Endpoints) != 2 {
		t.Errorf("%d services, %d edges, %d routes, %d endpoints", len(table.Services), len(table.Edges), len(table.Routes), len(table.Endpoints))
	}
	got := find(t, table.Services, "orders", "")
	if !slices.Equal(got.Requests, []uint64{100, 99}) || !slices.Equal(got.Failed, []uint64{0, 10}) || !got.Proxied {
		t.Errorf("orders: %+v", got)
	}
	bank := find(t, table.Services, "bank", "")
	if bank.Proxied || !slices.Equal(bank.Requests, []uint64{100, 100}) || !slices.Equal(bank.Blamed, []uint64{0, 10}) || !slices.Equal(bank.P50, []time.Duration{5, 40}) || bank.P99[0] != 9 {
		t.Errorf("bank: %+v", bank)
	}
	if edge := find(t, table.Edges, "bank", "orders"); !slices.Equal(edge.Blamed, []uint64{0, 10}) {
		t.Errorf("orders -> bank: %+v", edge)
	}
	if edge := find(t, table.Edges, "orders", "web"); !slices.Equal(edge.Requests, []uint64{100, 100}) || !slices.Equal(edge.Blamed, []uint64{0, 0}) {
		t.Errorf("web -> orders: %+v", edge)
	}
	outside := find(t, table.Edges, "web", "")
	if !slices.Equal(outside.Requests, []uint64{100, 100}) || !slices.Equal(outside.Failed, []uint64{0, 10}) || outside.P50[1] != 40 {
		t.Errorf("outside -> web: %+v", outside)
	}
	if r := table.Routes[0]; r.Service != "web" || r.P50[0] != 50 || r.P50[1] != 100 {
		t.Errorf("route %+v", r)
	}
	if e := find(t, table.Endpoints, "web", ""); e.Proxy != "web:9901" || e.Endpoint != "127.0.0.1:3000" {
		t.Errorf("endpoint %+v", e)
	}
	// Somebody outside calls orders, too.
	orders.Edges[0] = numbers("inbound", "", 150, 20)
	table = Merge([]Told{web, orders}, start.Add(2*Window), 1)
	if edge := find(t, table.Edges, "orders", ""); !slices.Equal(edge.Requests, []uint64{50}) || !slices.Equal(edge.Failed, []uint64{10}) {
		t.Errorf("outside -> orders: %+v", edge)
	}
}

// TestMergeNothing: a mesh of which nothing is known has lists, though empty ones.
func TestMergeNothing(t *testing.T) {
	text, err := json.Marshal(Merge(nil, start, 10))
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s, %v", text, err)
	}
}

// FuzzPart: whatever a proxy answers, a table can be made of it.
func FuzzPart(f *testing.F) {
	text, err := json.Marshal(part("web", numbers("inbound", "", 100, 10), numbers("outbound", "bank", 100, 10)).Part)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"service":"x\u001b","until":"2026-03-04T05:06:07Z","started":"2026-03-04T05:06:07Z","windows":240,"edges":[{"callee":"\u0007","requests":[5]}]}`))
	f.Add([]byte(`{"service":"x","until":"2199-03-04T05:06:07Z","started":"1970-03-04T05:06:07Z","windows":1,"edge_bounds_ns":[1,9223372036854775807],"edges":[{"requests":[4294967295],"failed":[4294967295],"durations":[[4294967295,4294967295,4294967295,0,0,1]]}],"blamed":[{"callee":"x","caller":"y","failed":[1]}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		p, err := Parse(answer)
		if err != nil {
			return
		}
		for _, until := range []time.Time{start.Add(2 * Window), p.Until} {
			table := Merge([]Told{{"a", p}, part("x", numbers("inbound", "", 1, 1))}, until, Windows)
			text, err := json.Marshal(table)
			if err != nil {
				t.Fatal(err)
			}
			if strings.ContainsAny(string(text), "\x1b\x07\r") || table.Windows > Windows {
				t.Fatalf("%s", text)
			}
		}
	})
}
