package tracecontext

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const rootHex = "1-4bf92f35-77b34da6a3ce929d0e0e4736"

func TestExtractJaeger(t *testing.T) {
	valid := func(d Decision) Context {
		return Context{Trace: trace128, Parent: parentID, Decision: d, Formats: Jaeger}
	}
	none := Context{Formats: Jaeger}
	for value, want := range map[string]Context{
		traceHex + ":" + spanHex + ":0:1":                     valid(Sample),
		traceHex + ":" + spanHex + ":05e3ac9a4f6e3b90:0":      valid(Drop),
		traceHex + ":" + spanHex + ":0:3":                     valid(Debug),
		traceHex + ":" + spanHex + ":0:2":                     valid(Debug),
		traceHex + ":" + spanHex + ":0:09":                    valid(Sample),
		traceHex + ":" + spanHex + "::1":                      valid(Sample),
		traceHex + ":f067aa0ba902b7:0:1":                      valid(Sample),
		"4BF92F3577B34DA6A3CE929D0E0E4736:F067AA0BA902B7:0:1": valid(Sample),
		traceHex + "%3A" + spanHex + "%3a0%3A1":               valid(Sample),
		hex64 + ":" + spanHex + ":0:1":                        {Trace: trace64, Parent: parentID, Decision: Sample, Formats: Jaeger, TraceID64: true},
		"7:8:0:1":                                             {Trace: hop.TraceID{15: 7}, Parent: hop.SpanID{7: 8}, Decision: Sample, Formats: Jaeger, TraceID64: true},
		"0000000000000000" + hex64 + ":" + spanHex + ":0:1":   {Trace: trace64, Parent: parentID, Decision: Sample, Formats: Jaeger},
		"": none, ":::": none, "7:8:1": none, "7:8:0:": none, "7:8:0:x": none, "7:8:0:100": none, "7:8:0:1:1": none,
		"0:8:0:1": none, "7:0:0:1": none, "g:8:0:1": none, "7 :8:0:1": none, "7%3B8%3A0%3A1": none, "7%3": none,
		"0" + traceHex + ":" + spanHex + ":0:1": none, traceHex + ":0" + spanHex + ":0:1": none,
	} {
		checkVendor(t, Jaeger, fields("uber-trace-id", value), value, want)
	}
}

func TestExtractXRay(t *testing.T) {
	valid := func(d Decision) Context {
		return Context{Trace: trace128, Parent: parentID, Decision: d, Formats: XRay}
	}
	none := Context{Formats: XRay}
	for value, want := range map[string]Context{
		"Root=" + rootHex + ";Parent=" + spanHex + ";Sampled=1":                          valid(Sample),
		"Root=" + rootHex + ";Parent=" + spanHex + ";Sampled=0":                          valid(Drop),
		"Root=" + rootHex + ";Parent=" + spanHex + ";Sampled=?":                          valid(Deferred),
		"Root=" + rootHex + ";Parent=" + spanHex:                                         valid(Deferred),
		"Sampled=1; Parent=" + spanHex + " ;Lineage=a:1;Root=" + rootHex + ";":           valid(Sample),
		"Self=1-67891234-12456789abcdef012345678;Root=" + rootHex + ";Parent=" + spanHex: valid(Deferred),
		"Root=1-4BF92F35-77B34DA6A3CE929D0E0E4736;Parent=00F067AA0BA902B7;Sampled=1":     valid(Sample),
		"Root=" + rootHex:                  {Trace: trace128, Formats: XRay},
		"Root=" + rootHex + ";Sampled=0":   {Trace: trace128, Decision: Drop, Formats: XRay},
		"":                                 none,
		"Sampled=1":                        none,
		"Parent=" + spanHex + ";Sampled=1": none,
		"Root=" + traceHex:                 none,
		"Root=2" + rootHex[1:]:             none,
		"Root=" + rootHex + "0":            none,
		"Root=" + rootHex[:34] + "x":       none,
		"Root=1-00000000-" + strings.Repeat("0", 24): none,
		"Root=" + rootHex + ";Parent=" + spanHex[1:]: none,
		"Root=" + rootHex + ";Parent=":               none,
		"Root":                                       none,
	} {
		checkVendor(t, XRay, fields("x-amzn-trace-id", value), value, want)
	}
}

func checkVendor(t *testing.T, f Format, c *Carrier, value string, want Context) {
	t.Helper()
	p := &Propagation{Order: []Format{f}}
	got := Context{Trace: hop.TraceID{1}, Decision: Debug, TraceID64: true} // of the last request
	if ok := p.Extract(c, &got); ok != !want.Trace.IsZero() {
		t.Errorf("%q: Extract reports %t", value, ok)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q: context (-want +got):\n%s", value, diff)
	}
}

func TestVendorsComeAfterOthers(t *testing.T) {
	c := fields("traceparent", "00-"+traceHex+"-"+spanHex+"-00", "uber-trace-id", "7:8:0:1", "x-amzn-trace-id", "Root="+rootHex)
	for _, tt := range []struct {
		order []string
		trace hop.TraceID
		found Format
	}{
		{[]string{"w3c", "b3"}, trace128, W3C},
		{[]string{"w3c", "jaeger", "xray"}, trace128, W3C | Jaeger | XRay},
		{[]string{"jaeger", "w3c"}, hop.TraceID{15: 7}, W3C | Jaeger},
	} {
		p, err := NewPropagation(tt.order, []string{"jaeger", "xray"})
		if err != nil {
			t.Fatal(err)
		}
		var got Context
		if !p.Extract(c, &got) || got.Trace != tt.trace || got.Formats != tt.found || p.Outgoing(&got) != tt.found|Jaeger|XRay {
			t.Errorf("%v: %+v, outgoing %b", tt.order, got, p.Outgoing(&got))
		}
	}
}

func TestAppendVendors(t *testing.T) {
	span := hop.SpanID{7: 7}
	const spanText = "0000000000000007"
	for _, tt := range []struct{ got, want string }{
		{string(AppendJaeger([]byte("x"), trace128, false, span, Sample)), "x" + traceHex + ":" + spanText + ":0:1"},
		{string(AppendJaeger(nil, trace64, true, span, Drop)), hex64 + ":" + spanText + ":0:0"},
		{string(AppendJaeger(nil, trace64, true, span, Debug)), hex64 + ":" + spanText + ":0:3"},
		{string(AppendXRay([]byte("x"), trace128, span, Sample, nil)), "xRoot=" + rootHex + ";Parent=" + spanText + ";Sampled=1"},
		{string(AppendXRay(nil, trace128, span, Debug, nil)), "Root=" + rootHex + ";Parent=" + spanText + ";Sampled=1"},
		{string(AppendXRay(nil, trace128, span, Deferred, nil)), "Root=" + rootHex + ";Parent=" + spanText},
		{string(AppendXRay(nil, trace128, span, Drop, []byte("Self=1-2-3;Root=1-1-1; Lineage=a:1|b:2 ;Parent=x;junk;CalledFrom=app;Sampled=?;;"))),
			"Root=" + rootHex + ";Parent=" + spanText + ";Sampled=0;Self=1-2-3;Lineage=a:1|b:2;CalledFrom=app"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzJaeger(f *testing.F) {
	for _, v := range []string{traceHex + ":" + spanHex + ":0:1", "7%3A8%3a0%3A3", hex64 + ":1::0", ":::", "%"} {
		f.Add(v)
	}
	p := &Propagation{Order: []Format{Jaeger}}
	f.Fuzz(func(t *testing.T, v string) {
		var ctx, again Context
		ok := p.Extract(fields("uber-trace-id", v), &ctx)
		if ok != (!ctx.Trace.IsZero() && !ctx.Parent.IsZero()) || ok && ctx.Decision == Deferred {
			t.Fatalf("%q: %t, %+v", v, ok, ctx)
		}
		if !ok {
			return
		}
		out := string(AppendJaeger(nil, ctx.Trace, ctx.TraceID64, ctx.Parent, ctx.Decision))
		if !p.Extract(fields("uber-trace-id", out), &again) || !cmp.Equal(again, ctx) {
			t.Fatalf("%q, which is %+v, went out as %q, which reads %+v", v, ctx, out, again)
		}
	})
}

func FuzzXRay(f *testing.F) {
	for _, v := range []string{"Root=" + rootHex + ";Parent=" + spanHex + ";Sampled=1", "Root=" + rootHex + ";Lineage=x", "Self=a;Root=", ";;=;", "Root=;Root=" + rootHex} {
		f.Add(v)
	}
	p := &Propagation{Order: []Format{XRay}}
	f.Fuzz(func(t *testing.T, v string) {
		var ctx, again Context
		ok := p.Extract(fields("x-amzn-trace-id", v), &ctx)
		if ok == ctx.Trace.IsZero() || ctx.Decision == Debug {
			t.Fatalf("%q: %t, %+v", v, ok, ctx)
		}
		span := hop.SpanID{7: 7}
		out := AppendXRay(nil, trace128, span, ctx.Decision, []byte(v))
		if !p.Extract(fields("x-amzn-trace-id", string(out)), &again) || again.Trace != trace128 || again.Parent != span || again.Decision != ctx.Decision {
			t.Fatalf("%q went out as %q, which reads %+v", v, out, again)
		}
		if twice := AppendXRay(nil, trace128, span, ctx.Decision, out); string(twice) != string(out) {
			t.Fatalf("%q went out as %q, and from that as %q", v, out, twice)
		}
	})
}

func TestVendorsDoNotAllocate(t *testing.T) {
	p := &Propagation{Order: []Format{W3C, B3, Jaeger, XRay}}
	jaeger := fields("uber-trace-id", traceHex+":"+spanHex+":0:1")
	xray := fields("x-amzn-trace-id", "Self=a;Root="+rootHex+";Parent="+spanHex+";Sampled=1;Lineage=x")
	var ctx Context
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		p.Extract(jaeger, &ctx)
		buf = AppendJaeger(buf[:0], ctx.Trace, ctx.TraceID64, ctx.Parent, ctx.Decision)
		p.Extract(xray, &ctx)
		buf = AppendXRay(buf, ctx.Trace, ctx.Parent, ctx.Decision, xray.XAmznTraceID)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJaeger(b *testing.B) {
	p := &Propagation{Order: []Format{W3C, B3, Jaeger}, Inject: W3C}
	c := fields("uber-trace-id", traceHex+":"+spanHex+":0:1")
	var ctx Context
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(c, &ctx)
		buf = AppendJaeger(buf[:0], ctx.Trace, false, ctx.Parent, ctx.Decision)
	}
}

func BenchmarkXRay(b *testing.B) {
	p := &Propagation{Order: []Format{W3C, B3, XRay}, Inject: W3C}
	c := fields("x-amzn-trace-id", "Root="+rootHex+";Parent="+spanHex+";Sampled=1")
	var ctx Context
	buf := make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		p.Extract(c, &ctx)
		buf = AppendXRay(buf[:0], ctx.Trace, ctx.Parent, ctx.Decision, c.XAmznTraceID)
	}
}
