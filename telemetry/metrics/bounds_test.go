package metrics

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Methods that a client may have made up are one; those that an endpoint has are told
// apart, also where the call fails, up to a limit.
func TestMethodsAreBounded(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	for range 2 {
		m.Observe(call(l, "/shop.Cart/Made", 12, 12))                    // the endpoint lacks it
		m.Observe(call(l, "/shop.Cart/Up", 14, -1))                      // no endpoint answered
		m.Observe(call(l, "/shop.Cart/Html", 2, 2))                      // the answer was not gRPC
		m.Observe(call(l, "/shop.Cart/%41", 0, 0))                       // no name
		m.Observe(call(l, "/shop.Cart/"+strings.Repeat("A", 256), 0, 0)) // too long
		m.Observe(call(l, "/shop.Cart/Add", 0, 0))                       // there it is
		m.Observe(call(l, "/shop.Cart/Add", 14, -1))                     // and is known by now
	}
	common := map[string]string{"service": "web", "cluster": "app"}
	count := func() map[string]float64 {
		return without(common, samples(parse(t, m)["rpc_server_call_duration_seconds"]))
	}
	const others = "rpc_method=other,rpc_service=other"
	want := map[string]float64{
		"error_type=UNIMPLEMENTED,rpc_grpc_status_code=12," + others:                          2,
		"error_type=UNAVAILABLE,rpc_grpc_status_code=14," + others:                            2,
		"error_type=UNKNOWN,rpc_grpc_status_code=2," + others:                                 2,
		"rpc_grpc_status_code=0," + others:                                                    4,
		"rpc_grpc_status_code=0,rpc_method=Add,rpc_service=shop.Cart":                         2,
		"error_type=UNAVAILABLE,rpc_grpc_status_code=14,rpc_method=Add,rpc_service=shop.Cart": 2,
	}
	if diff := cmp.Diff(want, count()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := labels("/other", "app") // the limit is the service's
	for i := range 300 {
		for _, l := range []*hop.Labels{l, other} {
			m.Observe(call(l, fmt.Sprintf("/shop.Cart/M%d", i), 0, 0))
		}
	}
	methods := map[string]bool{}
	for key := range count() {
		_, method, _ := strings.Cut(key, "rpc_method=")
		methods[method] = true
	}
	if len(methods) != maxMethods+1 {
		t.Errorf("%d methods, want %d and the others", len(methods), maxMethods)
	}
	if got := count()["rpc_grpc_status_code=0,"+others]; got != 4+2*(300-maxMethods+1) {
		t.Errorf("%v calls of other methods", got)
	}
	m.Retain([]*hop.Labels{other})
	m.Observe(call(other, "/shop.Cart/M299", 0, 0)) // no room: those that it knew are still used
	m.Retain(nil)
	m.Observe(call(other, "/shop.Cart/M299", 0, 0))
	if diff := cmp.Diff(map[string]float64{"rpc_grpc_status_code=0,rpc_method=M299,rpc_service=shop.Cart": 1}, count()); diff != "" {
		t.Errorf("after all routes went away (-want +got):\n%s", diff)
	}
}

// Who is at fault is told apart up to a limit, whatever others call themselves.
func TestCulpritsAreBounded(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	fail := func(service, kind string) {
		m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 503,
			Failure: hop.Failure{Origin: hop.OriginRelayed, Hop: service, Part: hop.PartNetwork, Kind: kind}})
	}
	fail(strings.Repeat("x", maxName+1), "error_response")
	for range 2 {
		for i := range 3 * maxCulprits {
			fail(fmt.Sprint("s", i), "error_response")
		}
		for i := range 3 * maxKinds {
			fail("s0", fmt.Sprint("k", i))
			fail(fmt.Sprint("s", i%10), fmt.Sprint("k", i%99))
		}
	}
	got := samples(parse(t, m)["hopscope_failures_total"])
	values, sum := map[string]map[string]bool{}, 0.0
	for key, n := range got {
		sum += n
		for pair := range strings.SplitSeq(key, ",") {
			name, value, _ := strings.Cut(pair, "=")
			if values[name] == nil {
				values[name] = map[string]bool{}
			}
			values[name][value] = true
		}
	}
	if want := 1 + 2*(3*maxCulprits+6*maxKinds); sum != float64(want) {
		t.Errorf("%v failures counted, want %d", sum, want)
	}
	if len(values["failed_hop"]) != maxCulprits+1 || len(values["kind"]) != maxKinds+1 || len(got) > maxFailures+1 {
		t.Errorf("%d services, %d kinds, %d series", len(values["failed_hop"]), len(values["kind"]), len(got))
	}
	m.Retain(nil)
	m.Observe(&hop.Hop{Labels: labels("/new", "app"), Failure: hop.Failure{Origin: hop.OriginRelayed, Hop: "late"}})
	if got := samples(parse(t, m)["hopscope_failures_total"]); len(got) != 1 || !strings.Contains(fmt.Sprint(got), "failed_hop=late") {
		t.Errorf("after all routes went away: %v", got)
	}
}

// The label is the route's template: the learned one, else the configuration's name, and
// none where it has no name.
func TestRouteLabel(t *testing.T) {
	m := New(Options{})
	for _, tt := range []struct{ route, template string }{
		{"/api", ""}, {"default", ""}, {"default", "/product/{id}"}, {"shop", "/product/{id}"}, {"default", "other"},
	} {
		l := labels(tt.route, "app")
		l.Metrics = m.Series(l)
		for range 2 {
			m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, Template: tt.template})
		}
	}
	common := map[string]string{"service": "web", "direction": "inbound", "cluster": "app", "code": "200", "method": "GET"}
	want := map[string]float64{"route=/api": 2, "": 2, "route=/product/{id}": 4, "route=other": 2}
	if diff := cmp.Diff(want, without(common, samples(parse(t, m)["hopscope_requests_total"]))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	l := labels("default", "app")
	for i := range 3 * maxLearned {
		m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200, Template: fmt.Sprint("/", i)})
	}
	if n := len(samples(parse(t, m)["hopscope_requests_total"])); n > maxLearned+4 {
		t.Errorf("%d series", n)
	}
	m.Retain([]*hop.Labels{labels("shop", "app")})
	want = map[string]float64{"route=/product/{id}": 4}
	if diff := cmp.Diff(want, without(common, samples(parse(t, m)["hopscope_requests_total"]))); diff != "" {
		t.Errorf("after a reload (-want +got):\n%s", diff)
	}
}

// A route that nobody asks for has no series.
func TestNoSeriesBeforeTheFirstEvent(t *testing.T) {
	m := New(Options{})
	l := labels("/never", "app")
	l.Metrics = m.Series(l)
	m.Func("hopscope_shortages_total", "x", Counter, []string{"of"}, func(emit func(float64, ...string)) { emit(0, "dial"); emit(1, "accept") })
	families := parse(t, m)
	for _, f := range m.families.all() {
		if families[f.Name] != nil {
			t.Errorf("%s has series: %v", f.Name, samples(families[f.Name]))
		}
	}
	if diff := cmp.Diff(map[string]float64{"of=accept": 1}, samples(families["hopscope_shortages_total"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 200})
	if families := parse(t, m); families["hopscope_request_bytes_total"] != nil || families["hopscope_failures_total"] != nil || families["hopscope_blame_total"] != nil {
		t.Error("a request without content or failure has series of them")
	}
}
