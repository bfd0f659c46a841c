package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDefaultsTakeUnderTwentyFiveMinutes(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	loads := loadsOf(o)
	if total := time.Duration(loads) * (o.duration + o.warmup); total > 20*time.Minute {
		t.Errorf("%d loads take %v", loads, total)
	}
	if !slices.Equal(o.connections, []int{32, 256}) || !slices.Equal(o.bodies, []int{98, 10240}) || o.idle != 10000 || o.endpoints != 10000 || o.changes != 20 || o.rounds < 3 {
		t.Errorf("defaults are %+v", o)
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-only", "nginx-plain, haproxy-plain", "-connections", "8", "-strict"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.variants) != 2 || o.variants[0].name != haproxyPlain || o.variants[1].name != "nginx-plain" {
		t.Errorf("variants %+v, want the two named in table order", o.variants)
	}
	if !o.targets {
		t.Error("-strict does not imply -targets")
	}
	if o.measuresIdle() || o.measuresMemory() || o.measuresDiscovery() {
		t.Error("measures something of a variant that was left out")
	}
}

func TestMeasurementsWithoutRoundsGoWithTheirVariants(t *testing.T) {
	for _, tc := range []struct {
		args                    string
		idle, memory, discovery bool
	}{
		{"", true, true, true},
		{"-only http1", true, false, false},
		{"-only scale", false, true, true},
		{"-only hopscope-one,hopscope-full", true, true, true},
		{"-only hopscope-many", false, false, false},
		{"-idle 0", false, true, true},
		{"-endpoints 0", true, false, true},
		{"-changes 0", true, true, false},
	} {
		o, err := parseOptions(strings.Fields(tc.args), io.Discard)
		if err != nil {
			t.Errorf("%q: %v", tc.args, err)
		}
		if o.measuresIdle() != tc.idle || o.measuresMemory() != tc.memory || o.measuresDiscovery() != tc.discovery {
			t.Errorf("%q measures idle connections: %t, memory of endpoints: %t, changes in Consul: %t", tc.args,
				o.measuresIdle(), o.measuresMemory(), o.measuresDiscovery())
		}
	}
}

func TestOnlyTakesGroups(t *testing.T) {
	o, err := parseOptions([]string{"-only", "tls, nginx-h2, hopscope-one", "-connections", "8,16", "-bodies", "98,10240", "-rounds", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range o.variants {
		names = append(names, v.name)
	}
	if want := []string{"nginx-h2", haproxyTLS, "nginx-tls", hopscopeTLS, hopscopeOne}; !slices.Equal(names, want) {
		t.Errorf("variants %q, want %q", names, want)
	}
	want := []cell{
		{Group: groupH2, Connections: http2Connections, Streams: http2Streams, BodyBytes: 98},
		{Group: groupTLS, Connections: 8, BodyBytes: 98},
		{Group: groupTLS, Connections: 8, BodyBytes: 98, Fresh: true},
		{Group: groupScale, Connections: 8, BodyBytes: 98},
	}
	if got := cellsOf(o); !slices.Equal(got, want) {
		t.Errorf("loads %+v, want %+v", got, want)
	}
	if n := loadsOf(o); n != 2*(1+2*3+1) {
		t.Errorf("%d loads, want one of each of two variants and two of three, twice", n)
	}
}

// Each proxy is checked with the answers that its load will have: nginx refuses a call of a MiB.
func TestAnswers(t *testing.T) {
	o, err := parseOptions([]string{"-only", "grpc,large,haproxy-plain", "-bodies", "98,10240"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int{groupGRPC: {98}, groupLarge: {largeBody}, groupHTTP1: {98, 10240}} {
		if got := groupOf(name).answers(o); !slices.Equal(got, want) {
			t.Errorf("%s is answered with %v, want %v", name, got, want)
		}
	}
	if got := o.answers(); !slices.Equal(got, []int{98, 10240, largeBody}) {
		t.Errorf("the backend answers with %v", got)
	}
}

func TestOptionErrorsNameTheFlag(t *testing.T) {
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"-connections 32,x", []string{`-connections "32,x"`, `"x"`}},
		{"-connections 0", []string{"from 1 to 2000"}},
		{"-connections 8,8", []string{"8 is there twice"}},
		{"-bodies 98,", []string{"-bodies", `""`}},
		{"-bodies 1000000000", []string{"-bodies"}},
		{"-only envoy", []string{`no group or variant "envoy"`, groupHTTP1, groupTLS, haproxyPlain, hopscopeOff}},
		{"-rounds -1 -idle -1 -warmup -1s", []string{"-rounds -1", "-idle -1", "-warmup -1s"}},
		{"-endpoints -1", []string{"-endpoints -1", "from 2 to 64000"}},
		{"-endpoints 1", []string{"-endpoints 1"}},
		{"-endpoints 64001", []string{"-endpoints 64001"}},
		{"-changes -1", []string{"-changes -1"}},
		{"-duration 100ms", []string{"at least 1s"}},
		{"-duration 1500ms", []string{"whole seconds"}},
		{"10000", []string{`unexpected argument "10000"`}},
		{"-nonsense", []string{"-nonsense"}},
	} {
		_, err := parseOptions(strings.Fields(tc.args), io.Discard)
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q in it", tc.args, err, want)
			}
		}
	}
	var help strings.Builder
	if _, err := parseOptions([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-rounds") {
		t.Errorf("-help gives %v and prints %q", err, help.String())
	}
}

func TestNothingToMeasure(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0", "-idle", "0", "-endpoints", "0", "-changes", "0"}, {"-rounds", "0", "-only", haproxyPlain}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.Is(err, errNothing) {
			t.Errorf("run(%v) = %v, want %v", args, err, errNothing)
		}
	}
}
