package tracecontext

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	traceHex = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanHex  = "00f067aa0ba902b7"
	hex64    = "a3ce929d0e0e4736"
)

var (
	trace128 = hop.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	trace64  = hop.TraceID{8: 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	parentID = hop.SpanID{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}
)

// fields builds a Carrier; a value that is given is present, even if empty.
func fields(kv ...string) *Carrier {
	c := &Carrier{}
	for i := 0; i < len(kv); i += 2 {
		v := append([]byte{}, kv[i+1]...)
		switch kv[i] {
		case "traceparent":
			c.Traceparent = v
			c.TraceparentCount++
		case "tracestate":
			c.Tracestate = append(c.Tracestate, v)
		case "b3":
			c.B3 = v
		case "x-b3-traceid":
			c.XB3TraceID = v
		case "x-b3-spanid":
			c.XB3SpanID = v
		case "x-b3-parentspanid":
			c.XB3ParentSpanID = v
		case "x-b3-sampled":
			c.XB3Sampled = v
		case "x-b3-flags":
			c.XB3Flags = v
		case "uber-trace-id":
			c.UberTraceID = v
		case "x-amzn-trace-id":
			c.XAmznTraceID = v
		default:
			panic(kv[i])
		}
	}
	return c
}

func TestExtractW3C(t *testing.T) {
	const ids = traceHex + "-" + spanHex
	valid := func(d Decision, flags byte) Context {
		return Context{Trace: trace128, Parent: parentID, Decision: d, Flags: flags, Formats: W3C}
	}
	none := Context{Formats: W3C}
	cases := []struct {
		name  string
		value string
		want  Context
	}{
		{"sampled", "00-" + ids + "-01", valid(Sample, 0)},
		{"not sampled", "00-" + ids + "-00", valid(Drop, 0)},
		{"random bit is kept", "00-" + ids + "-03", valid(Sample, FlagRandom)},
		{"flags are tested bitwise and unknown ones zeroed", "00-" + ids + "-fe", valid(Drop, FlagRandom)},
		{"higher version", "01-" + ids + "-01", valid(Sample, 0)},
		{"higher version with more", "cc-" + ids + "-01-what-the-future-holds", valid(Sample, 0)},
		{"higher version with a bare end", "cc-" + ids + "-01-", valid(Sample, 0)},
		{"higher version with more, without dash", "cc-" + ids + "-01.what", none},
		{"higher version too short", "cc-" + ids + "-0", none},
		{"version 00 with more", "00-" + ids + "-01-more", none},
		{"version ff", "ff-" + ids + "-01", none},
		{"version not hex", "0x-" + ids + "-01", none},
		{"upper case version", "CC-" + ids + "-01", none},
		{"upper case trace id", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + spanHex + "-01", none},
		{"upper case span id", "00-" + traceHex + "-00F067AA0BA902B7-01", none},
		{"upper case flags", "00-" + ids + "-0A", none},
		{"zero trace id", "00-00000000000000000000000000000000-" + spanHex + "-01", none},
		{"zero span id", "00-" + traceHex + "-0000000000000000-01", none},
		{"bad trace id", "00-" + traceHex[:31] + "g-" + spanHex + "-01", none},
		{"bad first dash", "00_" + ids + "-01", none},
		{"bad second dash", "00-" + traceHex + "_" + spanHex + "-01", none},
		{"bad third dash", "00-" + ids + "_01", none},
		{"no flags", "00-" + ids, none},
		{"empty", "", none},
		{"space inside", "00-" + ids + "- 1", none},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { checkExtract(t, fields("traceparent", tc.value), tc.want) })
	}
}

func checkExtract(t *testing.T, c *Carrier, want Context) {
	t.Helper()
	p := &Propagation{Order: []Format{W3C, B3}, Inject: W3C}
	got := Context{Trace: hop.TraceID{1}, Decision: Debug, Flags: 9, Tracestate: [][]byte{nil}} // of the last request
	if ok := p.Extract(c, &got); ok != !want.Trace.IsZero() {
		t.Errorf("Extract reports %t for %v", ok, got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("context (-want +got):\n" + diff)
	}
}

func TestExtractB3(t *testing.T) {
	single := func(d Decision) Context {
		return Context{Trace: trace128, Parent: parentID, Decision: d, Formats: B3Single}
	}
	multi := func(d Decision) Context {
		return Context{Trace: trace128, Parent: parentID, Decision: d, Formats: B3Multi}
	}
	ids := func(kv ...string) []string {
		return append([]string{"x-b3-traceid", traceHex, "x-b3-spanid", spanHex}, kv...)
	}
	cases := []struct {
		name   string
		fields []string
		want   Context
	}{
		{"single, deferred", []string{"b3", traceHex + "-" + spanHex}, single(Deferred)},
		{"single, dropped", []string{"b3", traceHex + "-" + spanHex + "-0"}, single(Drop)},
		{"single, sampled", []string{"b3", traceHex + "-" + spanHex + "-1"}, single(Sample)},
		{"single, debug", []string{"b3", traceHex + "-" + spanHex + "-d"}, single(Debug)},
		{"single, parent", []string{"b3", traceHex + "-" + spanHex + "-1-05e3ac9a4f6e3b90"}, single(Sample)},
		{"single, upper case", []string{"b3", "4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-1"}, single(Sample)},
		{"single, 64 bits", []string{"b3", hex64 + "-" + spanHex + "-1"},
			Context{Trace: trace64, Parent: parentID, Decision: Sample, Formats: B3Single, TraceID64: true}},
		{"single, decision alone: drop", []string{"b3", "0"}, Context{Decision: Drop, Formats: B3Single}},
		{"single, decision alone: sample", []string{"b3", "1"}, Context{Decision: Sample, Formats: B3Single}},
		{"single, decision alone: debug", []string{"b3", "d"}, Context{Decision: Debug, Formats: B3Single}},
		{"single, unknown decision", []string{"b3", "x"}, Context{Formats: B3Single}},
		{"single, empty", []string{"b3", ""}, Context{Formats: B3Single}},
		{"single, bad state", []string{"b3", traceHex + "-" + spanHex + "-2"}, Context{Formats: B3Single}},
		{"single, open end", []string{"b3", traceHex + "-" + spanHex + "-"}, Context{Formats: B3Single}},
		{"single, long state", []string{"b3", traceHex + "-" + spanHex + "-true"}, Context{Formats: B3Single}},
		{"single, bad parent", []string{"b3", traceHex + "-" + spanHex + "-1-05e3ac9a4f6e3b9x"}, Context{Formats: B3Single}},
		{"single, short parent", []string{"b3", traceHex + "-" + spanHex + "-1-05e3"}, Context{Formats: B3Single}},
		{"single, no span", []string{"b3", traceHex}, Context{Formats: B3Single}},
		{"single, 17 digits", []string{"b3", "0" + hex64 + "-" + spanHex}, Context{Formats: B3Single}},
		{"single, zero trace", []string{"b3", "0000000000000000-" + spanHex + "-1"}, Context{Formats: B3Single}},
		{"single, zero span", []string{"b3", traceHex + "-0000000000000000-1"}, Context{Formats: B3Single}},

		{"multi, deferred", ids(), multi(Deferred)},
		{"multi, dropped", ids("x-b3-sampled", "0"), multi(Drop)},
		{"multi, sampled", ids("x-b3-sampled", "1"), multi(Sample)},
		{"multi, sampled in the old way", ids("x-b3-sampled", "true"), multi(Sample)},
		{"multi, dropped in the old way", ids("x-b3-sampled", "false"), multi(Drop)},
		{"multi, debug", ids("x-b3-flags", "1"), multi(Debug)},
		{"multi, debug beats sampled", ids("x-b3-flags", "1", "x-b3-sampled", "0"), multi(Debug)},
		{"multi, flags 0 say nothing", ids("x-b3-flags", "0", "x-b3-sampled", "1"), multi(Sample)},
		{"multi, parent", ids("x-b3-parentspanid", "05e3ac9a4f6e3b90"), multi(Deferred)},
		{"multi, 64 bits", []string{"x-b3-traceid", hex64, "x-b3-spanid", spanHex},
			Context{Trace: trace64, Parent: parentID, Formats: B3Multi, TraceID64: true}},
		{"multi, decision alone", []string{"x-b3-sampled", "0"}, Context{Decision: Drop, Formats: B3Multi}},
		{"multi, debug alone", []string{"x-b3-flags", "1"}, Context{Decision: Debug, Formats: B3Multi}},
		{"multi, empty sampled", ids("x-b3-sampled", ""), Context{Formats: B3Multi}},
		{"multi, bad sampled", ids("x-b3-sampled", "yes"), Context{Formats: B3Multi}},
		{"multi, bad flags", ids("x-b3-flags", "2"), Context{Formats: B3Multi}},
		{"multi, empty trace", []string{"x-b3-traceid", "", "x-b3-spanid", spanHex}, Context{Formats: B3Multi}},
		{"multi, no span", []string{"x-b3-traceid", traceHex}, Context{Formats: B3Multi}},
		{"multi, no trace", []string{"x-b3-spanid", spanHex}, Context{Formats: B3Multi}},
		{"multi, parent alone", []string{"x-b3-parentspanid", spanHex}, Context{Formats: B3Multi}},
		{"multi, bad parent", ids("x-b3-parentspanid", "05"), Context{Formats: B3Multi}},

		{"single beats multi", ids("b3", hex64+"-"+spanHex+"-0", "x-b3-sampled", "1"),
			Context{Trace: trace64, Parent: parentID, Decision: Drop, Formats: B3, TraceID64: true}},
		{"a lone decision in single beats multi", ids("b3", "0", "x-b3-sampled", "1"),
			Context{Decision: Drop, Formats: B3}},
		{"malformed single leaves it to multi", ids("b3", "", "x-b3-sampled", "1"),
			Context{Trace: trace128, Parent: parentID, Decision: Sample, Formats: B3}},
		{"nothing", nil, Context{}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { checkExtract(t, fields(tc.fields...), tc.want) })
	}
}

func TestExtractOrder(t *testing.T) {
	w3c := []string{"traceparent", "00-" + traceHex + "-" + spanHex + "-01", "tracestate", "a=1", "tracestate", "b=2"}
	b3 := []string{"b3", hex64 + "-" + spanHex + "-0"}
	broken := []string{"traceparent", "00-" + traceHex, "tracestate", "a=1"}
	fromW3C := Context{Trace: trace128, Parent: parentID, Decision: Sample, Formats: W3C,
		Tracestate: [][]byte{[]byte("a=1"), []byte("b=2")}}
	fromB3 := Context{Trace: trace64, Parent: parentID, Decision: Drop, Formats: B3Single, TraceID64: true}
	with := func(c Context, f Format) Context { c.Formats = f; return c }

	cases := []struct {
		name   string
		order  []Format
		fields []string
		want   Context
	}{
		{"w3c wins by default", []Format{W3C, B3}, append(w3c, b3...), with(fromW3C, W3C|B3Single)},
		{"b3 wins by choice", []Format{B3, W3C}, append(w3c, b3...), with(fromB3, W3C|B3Single)},
		{"a format that is not read is not seen", []Format{W3C}, append(w3c, b3...), fromW3C},
		{"invalid traceparent drops tracestate", []Format{W3C}, broken, Context{Formats: W3C}},
		{"invalid traceparent leaves it to b3", []Format{W3C, B3}, append(broken, b3...), with(fromB3, W3C|B3Single)},
		{"two traceparents are none", []Format{W3C}, append(w3c, w3c...), Context{Formats: W3C}},
		{"tracestate alone is nothing", []Format{W3C}, []string{"tracestate", "a=1"}, Context{}},
		{"no format is read", nil, append(w3c, b3...), Context{}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var got Context
			p := &Propagation{Order: tc.order}
			if ok := p.Extract(fields(tc.fields...), &got); ok != !tc.want.Trace.IsZero() {
				t.Errorf("Extract reports %t", ok)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error("context (-want +got):\n" + diff)
			}
		})
	}
}

func TestNewPropagation(t *testing.T) {
	p, err := NewPropagation([]string{"b3", "w3c"}, []string{"w3c", "b3multi"})
	if err != nil {
		t.Fatal(err)
	}
	want := &Propagation{Order: []Format{B3, W3C}, Inject: W3C | B3Multi}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if got := p.Outgoing(&Context{Formats: B3Single}); got != W3C|B3 {
		t.Errorf("Outgoing = %b: what is always sent, and what came in", got)
	}
	if p, err = NewPropagation([]string{"w3c"}, []string{"b3"}); err != nil || p.Inject != B3Single {
		t.Errorf("inject b3 = %v, %v; want the single form", p, err)
	}
	for _, bad := range [][2][]string{{{"w3"}, nil}, {nil, {"datadog"}}, {{"b3multi"}, nil}} {
		if _, err := NewPropagation(bad[0], bad[1]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestAppend(t *testing.T) {
	span, parent := hop.SpanID{7: 7}, hop.SpanID{7: 6}
	cases := []struct{ name, got, want string }{
		{"traceparent", string(AppendTraceparent([]byte("x"), trace128, parentID, FlagSampled|FlagRandom)),
			"x00-" + traceHex + "-" + spanHex + "-03"},
		{"traceparent pads 64 bits", string(AppendTraceparent(nil, trace64, parentID, 0)),
			"00-0000000000000000" + hex64 + "-" + spanHex + "-00"},
		{"b3", string(AppendB3(nil, trace128, false, span, parent, Sample)), traceHex + "-0000000000000007-1-0000000000000006"},
		{"b3 without parent", string(AppendB3(nil, trace128, false, span, hop.SpanID{}, Drop)), traceHex + "-0000000000000007-0"},
		{"b3 debug, 64 bits", string(AppendB3(nil, trace64, true, span, hop.SpanID{}, Debug)), hex64 + "-0000000000000007-d"},
		{"b3 deferred", string(AppendB3(nil, trace64, true, span, parent, Deferred)), hex64 + "-0000000000000007"},
		{"b3 trace id", string(AppendB3TraceID(nil, trace64, false)), "0000000000000000" + hex64},
		{"sampled", Sample.B3Sampled(), "1"},
		{"dropped", Drop.B3Sampled(), "0"},
		{"debug is said by the flags", Debug.B3Sampled(), ""},
		{"deferred", Deferred.B3Sampled(), ""},
	}
	for _, tc := range cases {
		if tc.got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
		}
	}
}

func TestCarrierReset(t *testing.T) {
	c := fields("traceparent", "a", "traceparent", "b", "tracestate", "c", "b3", "d", "x-b3-sampled", "1")
	c.Reset()
	if diff := cmp.Diff(&Carrier{Tracestate: [][]byte{}}, c); diff != "" {
		t.Error(diff)
	}
	if cap(c.Tracestate) == 0 || c.Tracestate[:1][0] != nil {
		t.Error("Reset must keep the memory of the list, and not what it pointed to")
	}
}

// TestNoAllocation guards the hot path; the benchmarks show its time.
func TestNoAllocation(t *testing.T) {
	p := &Propagation{Order: []Format{W3C, B3}, Inject: W3C}
	c := fields("traceparent", "00-"+traceHex+"-"+spanHex+"-01", "tracestate", "a=1")
	multi := fields("x-b3-traceid", traceHex, "x-b3-spanid", spanHex, "x-b3-sampled", "1")
	var ctx Context
	buf := make([]byte, 0, 4096)
	long := manyMembers(60, 20)
	allocs := testing.AllocsPerRun(100, func() {
		p.Extract(c, &ctx)
		buf = AppendTraceparent(buf[:0], ctx.Trace, ctx.Parent, ctx.Flags)
		buf = AppendTracestate(buf, ctx.Tracestate)
		buf = AppendTracestate(buf, long)
		p.Extract(multi, &ctx)
		buf = AppendB3(buf, ctx.Trace, false, ctx.Parent, ctx.Parent, ctx.Decision)
		buf = AppendRequestID(buf, 1, 2)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkW3C(b *testing.B) {
	p := &Propagation{Order: []Format{W3C, B3}, Inject: W3C}
	c := fields("traceparent", "00-"+traceHex+"-"+spanHex+"-01")
	var ctx Context
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(c, &ctx)
		buf = AppendTraceparent(buf[:0], ctx.Trace, ctx.Parent, ctx.Flags|FlagSampled)
	}
}

func BenchmarkAbsent(b *testing.B) {
	p := &Propagation{Order: []Format{W3C, B3}, Inject: W3C}
	var c Carrier
	var ctx Context
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(&c, &ctx)
		buf = AppendTraceparent(buf[:0], NewTraceID(1, 2), NewSpanID(3), FlagRandom)
	}
}

func BenchmarkB3Single(b *testing.B) {
	p := &Propagation{Order: []Format{W3C, B3}, Inject: W3C}
	c := fields("b3", traceHex+"-"+spanHex+"-1")
	var ctx Context
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(c, &ctx)
		buf = AppendB3(buf[:0], ctx.Trace, false, ctx.Parent, ctx.Parent, ctx.Decision)
	}
}

func BenchmarkTracestate(b *testing.B) {
	lines := [][]byte{[]byte("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,dd=s:1;o:rum")}
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendTracestate(buf[:0], lines)
	}
}
