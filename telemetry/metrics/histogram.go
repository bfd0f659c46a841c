package metrics

import (
	"math"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// bounds are the upper bounds of the classic buckets, in seconds: OpenTelemetry's advice
// for http.server.request.duration, and finer ones below it, since a hop in a mesh often
// takes less than a millisecond. The last bucket has none.
var bounds = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// Bounds says what the buckets are, for documentation: "0.0005, 0.001, ...".
func Bounds() string {
	var all []string
	for _, b := range bounds {
		all = append(all, strconv.FormatFloat(b, 'g', -1, 64))
	}
	return strings.Join(all, ", ")
}

// histogram counts durations in classic buckets, with the latest exemplar of each, and
// optionally in native buckets.
type histogram struct {
	identity
	counts    [len(bounds) + 1]uint64
	sum       float64
	native    *native
	exemplars *[len(bounds) + 1]exemplar // nil until there is one
}

// exemplar is a trace to look at for a bucket or a counter.
type exemplar struct {
	trace hop.TraceID
	span  hop.SpanID
	value float64 // seconds; of a counter, 1
	at    int64   // Unix nanoseconds; 0 means that there is none
}

// observe adds d, which ended at the instant end of h. If the spans of h are exported,
// span, which is one of them, becomes the bucket's exemplar.
func (g *histogram) observe(d time.Duration, h *hop.Hop, span hop.SpanID, end time.Duration) {
	seconds := float64(max(d, 0)) / float64(time.Second)
	i := 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	g.counts[i]++
	g.sum += seconds
	if g.native != nil {
		g.native.add(seconds)
	}
	if h.Keep != hop.KeepNot && !h.Trace.IsZero() {
		if g.exemplars == nil {
			g.exemplars = new([len(bounds) + 1]exemplar)
		}
		g.exemplars[i] = exemplar{h.Trace, span, seconds, h.Start.UnixNano() + int64(end)}
	}
}

func (g *histogram) read() *dto.Metric {
	sum, total := g.sum, uint64(0)
	out := &dto.Histogram{
		SampleSum:        &sum,
		Bucket:           make([]*dto.Bucket, 0, len(g.counts)),
		CreatedTimestamp: g.created,
	}
	for i, n := range g.counts {
		total += n
		b := &dto.Bucket{CumulativeCount: ptr(total), UpperBound: ptr(math.Inf(1))}
		if i < len(bounds) {
			b.UpperBound = ptr(bounds[i])
		}
		if g.exemplars != nil && g.exemplars[i].at != 0 {
			b.Exemplar = g.exemplars[i].read()
		}
		// The encoders add the last bucket themselves; we add it only for its exemplar.
		if i < len(bounds) || b.Exemplar != nil {
			out.Bucket = append(out.Bucket, b)
		}
	}
	out.SampleCount = &total
	if g.native != nil {
		g.native.read(out)
	}
	return &dto.Metric{Label: g.labels, Histogram: out}
}

func (e *exemplar) read() *dto.Exemplar {
	return &dto.Exemplar{
		Label: []*dto.LabelPair{
			{Name: ptr("trace_id"), Value: ptr(e.trace.String())},
			{Name: ptr("span_id"), Value: ptr(e.span.String())},
		},
		Value:     ptr(e.value),
		Timestamp: timestamppb.New(time.Unix(0, e.at)),
	}
}

func ptr[T any](v T) *T { return &v }
