package tracecontext

import (
	"context"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// OpenTelemetry's own code is the judge of what the neighbours understand.

func FuzzTraceparent(f *testing.F) {
	for _, v := range []string{
		"00-" + traceHex + "-" + spanHex + "-01", "01-" + traceHex + "-" + spanHex + "-09-more",
		"ff-" + traceHex + "-" + spanHex + "-01", "00-" + traceHex + "-" + spanHex + "-00-", "",
	} {
		f.Add(v)
	}
	p := &Propagation{Order: []Format{W3C}}
	f.Fuzz(func(t *testing.T, v string) {
		var ctx Context
		ok := p.Extract(fields("traceparent", v), &ctx)
		if ok != (!ctx.Trace.IsZero() && !ctx.Parent.IsZero()) || ctx.Flags&^FlagRandom != 0 {
			t.Fatalf("%q: %t, %+v", v, ok, ctx)
		}
		theirs := otelExtract(v)
		// It is laxer about what follows the flags, and stricter about flags
		// it does not know.
		if theirs.IsValid() && !ok && len(v) == TraceparentLen {
			t.Fatalf("%q: OpenTelemetry understands it, we do not", v)
		}
		if !ok {
			return
		}
		out := string(AppendTraceparent(nil, ctx.Trace, ctx.Parent, ctx.Flags|byte(ctx.Decision)/byte(Sample)))
		sent := otelExtract(out)
		if hop.TraceID(sent.TraceID()) != ctx.Trace || hop.SpanID(sent.SpanID()) != ctx.Parent ||
			sent.IsSampled() != ctx.Decision.Sampled() {
			t.Fatalf("%q became %q, which OpenTelemetry reads as %v", v, out, sent)
		}
		if !strings.HasPrefix(out, "00-"+v[3:52]) {
			t.Fatalf("%q became %q: the ids changed", v, out)
		}
	})
}

func otelExtract(traceparent string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

func FuzzB3(f *testing.F) {
	f.Add(traceHex+"-"+spanHex+"-1-"+spanHex, traceHex, spanHex, "1", "0")
	f.Add(hex64+"-"+spanHex, hex64, spanHex, "true", "1")
	f.Add("0", "", "", "", "")
	p := &Propagation{Order: []Format{B3}}
	f.Fuzz(func(t *testing.T, single, traceID, spanID, sampled, flags string) {
		var ctx Context
		for _, c := range []*Carrier{
			fields("b3", single),
			fields("x-b3-traceid", traceID, "x-b3-spanid", spanID),
			fields("x-b3-traceid", traceID, "x-b3-spanid", spanID, "x-b3-sampled", sampled, "x-b3-flags", flags),
		} {
			ok := p.Extract(c, &ctx)
			if ok != (!ctx.Trace.IsZero() && !ctx.Parent.IsZero()) || ctx.Decision > Debug {
				t.Fatalf("%t, %+v", ok, ctx)
			}
			if !ok {
				continue
			}
			var again Context
			out := AppendB3(nil, ctx.Trace, ctx.TraceID64, ctx.Parent, hop.SpanID{}, ctx.Decision)
			if !p.Extract(fields("b3", string(out)), &again) || again.Trace != ctx.Trace ||
				again.Parent != ctx.Parent || again.Decision != ctx.Decision || again.TraceID64 != ctx.TraceID64 {
				t.Fatalf("%+v went out as %q, which reads %+v", ctx, out, again)
			}
		}
	})
}

func TestSamplerAgreesWithOpenTelemetry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, ratio := range []float64{-1, 0, 0.0001, 0.01, 0.25, 0.5, 0.999, 1, 2} {
		theirs, ours := sdktrace.TraceIDRatioBased(ratio), NewSampler(ratio)
		taken := 0
		const n = 20000
		for range n {
			id := NewTraceID(random.Uint64(), random.Uint64())
			want := theirs.ShouldSample(sdktrace.SamplingParameters{
				ParentContext: context.Background(), TraceID: trace.TraceID(id),
			}).Decision == sdktrace.RecordAndSample
			got := ours.Sample(id)
			if got != want {
				t.Fatalf("ratio %v, trace %v: %t, OpenTelemetry says %t", ratio, id, got, want)
			}
			if got {
				taken++
			}
		}
		share := min(max(ratio, 0), 1)
		if math.Abs(float64(taken)/n-share) > 0.02 {
			t.Errorf("ratio %v took %d of %d", ratio, taken, n)
		}
	}
	last := NewTraceID(math.MaxUint64, math.MaxUint64)
	if !NewSampler(1).Sample(last) || NewSampler(math.NaN()).Sample(NewTraceID(0, 0)) {
		t.Error("1 samples everything, no number nothing")
	}
}

func TestDecide(t *testing.T) {
	all, nothing := NewSampler(1), NewSampler(0)
	cases := []struct {
		sampler Sampler
		d       Decision
		sampled bool
		keep    hop.Keep
	}{
		{all, Deferred, true, hop.KeepRatio},
		{nothing, Deferred, false, hop.KeepNot},
		{all, Drop, false, hop.KeepNot},
		{nothing, Sample, true, hop.KeepParent},
		{nothing, Debug, true, hop.KeepDebug},
	}
	for _, tc := range cases {
		if sampled, keep := tc.sampler.Decide(tc.d, trace128); sampled != tc.sampled || keep != tc.keep {
			t.Errorf("%v, decision %d: %t, %v; want %t, %v", tc.sampler, tc.d, sampled, keep, tc.sampled, tc.keep)
		}
	}
}

func TestLimit(t *testing.T) {
	began := time.Now()
	id := NewTraceID(1, 2)
	taken := func(s *Sampler, calls int, after time.Duration) (n int) {
		for range calls {
			if sampled, keep := s.Begin(id, began.Add(after)); sampled {
				n++
				if keep != hop.KeepRate {
					t.Errorf("sampled by %v", keep)
				}
			}
		}
		return n
	}
	ten, slow := NewSampler(1).Limited(10, began), NewSampler(1).Limited(0.5, began)
	for _, tt := range []struct {
		name  string
		s     *Sampler
		after time.Duration
		want  int
	}{
		{"a second's worth at once", &ten, 0, 10},
		{"no more yet", &ten, 99 * time.Millisecond, 0},
		{"one more", &ten, 100 * time.Millisecond, 1},
		{"five more", &ten, 600 * time.Millisecond, 5},
		{"no more than a second's worth after a long while", &ten, time.Hour, 10},
		{"a clock that goes back", &ten, 0, 0},
		{"one in two seconds", &slow, 0, 1},
		{"none for two seconds", &slow, 1999 * time.Millisecond, 0},
		{"the next", &slow, 2 * time.Second, 1},
	} {
		if got := taken(tt.s, 100, tt.after); got != tt.want {
			t.Errorf("%s: %d were sampled, want %d", tt.name, got, tt.want)
		}
	}
	shared := NewSampler(0).Limited(100, began)
	route := shared.ForRoute(1)
	if sampled, _ := shared.Begin(id, began); sampled {
		t.Error("a ratio of 0 samples")
	}
	var group sync.WaitGroup
	var n atomic.Int64
	for range 8 {
		group.Go(func() {
			for range 1000 {
				if sampled, keep := route.Begin(id, began); sampled {
					n.Add(1)
					if keep != hop.KeepRoute {
						t.Errorf("sampled by %v", keep)
					}
				}
			}
		})
	}
	group.Wait()
	if n.Load() != 100 {
		t.Errorf("%d were sampled, want 100", n.Load())
	}
	if allocations := testing.AllocsPerRun(100, func() { route.Begin(id, began) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestIDs(t *testing.T) {
	if NewTraceID(0, 0).IsZero() || NewSpanID(0).IsZero() {
		t.Error("an id is zero")
	}
	if got := NewTraceID(0x4bf92f3577b34da6, 0xa3ce929d0e0e4736); got != trace128 {
		t.Errorf("trace id %v", got)
	}
	if got := NewSpanID(0xf067aa0ba902b7); got != parentID {
		t.Errorf("span id %v", got)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, words := range [][2]uint64{{0, 0}, {math.MaxUint64, math.MaxUint64}, {0x0123456789abcdef, 0x0123456789abcdef}} {
		if id := AppendRequestID(nil, words[0], words[1]); !uuid.Match(id) {
			t.Errorf("%q is no version 4 UUID", id)
		}
	}
	if got := string(AppendRequestID(nil, 0x0123456789abcdef, 0x0123456789abcdef)); got != "01234567-89ab-4def-8123-456789abcdef" {
		t.Errorf("request id %q", got)
	}
}
