package tracecontext

import (
	"fmt"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Format is a set of wire formats.
type Format uint8

// The formats.
const (
	W3C      Format = 1 << iota // traceparent, tracestate
	B3Single                    // b3
	B3Multi                     // x-b3-traceid and its siblings
	Jaeger                      // uber-trace-id
	XRay                        // x-amzn-trace-id

	// B3 is both forms of B3.
	B3 = B3Single | B3Multi
)

// Decision is a caller's sampling decision.
type Decision uint8

// The decisions. Deferred leaves it to the next hop; Debug is B3's "sample, and do not
// throttle".
const (
	Deferred Decision = iota
	Drop
	Sample
	Debug
)

// Sampled reports whether the decision is to sample.
func (d Decision) Sampled() bool { return d >= Sample }

// The bits of the W3C trace flags (W3C Trace Context level 2, section 3.2.2.5).
const (
	FlagSampled byte = 0x01
	// FlagRandom says that at least the right-most 7 bytes of the trace id
	// are random; set it on ids from [NewTraceID].
	FlagRandom byte = 0x02
)

// Carrier holds the values of the request's trace fields, without the whitespace around
// them. They are not copied. An absent field is nil. An empty field is not nil, and
// malformed.
type Carrier struct {
	Traceparent []byte
	// TraceparentCount is how many traceparent fields there were; more than
	// one is malformed.
	TraceparentCount int
	// Tracestate has one entry for each tracestate field, in order.
	Tracestate [][]byte

	B3              []byte
	XB3TraceID      []byte
	XB3SpanID       []byte
	XB3ParentSpanID []byte
	XB3Sampled      []byte
	XB3Flags        []byte

	UberTraceID  []byte // Jaeger's
	XAmznTraceID []byte // AWS X-Ray's
}

// Reset empties the carrier for the next request, and keeps the memory of Tracestate.
func (c *Carrier) Reset() {
	clear(c.Tracestate)
	*c = Carrier{Tracestate: c.Tracestate[:0]}
}

// Context is the trace context of a request.
type Context struct {
	// Trace and Parent are the caller's ids, zero if there is no valid context. Parent is
	// the caller's own span. From X-Ray a trace may come without a parent.
	Trace  hop.TraceID
	Parent hop.SpanID
	// Decision is the caller's. It may come without ids ("b3: 0").
	Decision Decision
	// Flags are the W3C flags to send besides the sampled flag: the random bit or
	// nothing.
	Flags byte
	// Formats are the formats that were found in the request, well formed or not, among
	// those that are read.
	Formats Format
	// TraceID64 is true if the trace id came as B3's 16 hex digits, or as no more in
	// Jaeger's format. It is sent with 16 in these two, and padded with zeros in others.
	TraceID64 bool
	// Tracestate has the lines to send with [AppendTracestate]; nil unless the context
	// came from traceparent. It points into the Carrier.
	Tracestate [][]byte
	// Inside is true if the request belongs to one that has entered the mesh before: it came
	// from a proxy of the same mesh, or from an application that one stands in front of. See
	// [Mark.Cut].
	Inside bool
}

// Propagation says which formats to read and to send.
type Propagation struct {
	// Order lists the formats to read; the first with a valid context wins. In an entry
	// [B3] the single form comes first.
	Order []Format
	// Inject are the formats that are always sent.
	Inject Format
	// Mark goes with traceparent, in tracestate; empty is none.
	Mark Mark
}

// NewPropagation makes a Propagation from the words of the configuration. extract takes
// "w3c", "b3", both forms of B3, "jaeger" and "xray". inject takes "w3c", "b3", the single
// form, "b3multi", "jaeger" and "xray".
func NewPropagation(extract, inject []string) (*Propagation, error) {
	p := &Propagation{}
	for _, word := range extract {
		switch word {
		case "w3c":
			p.Order = append(p.Order, W3C)
		case "b3":
			p.Order = append(p.Order, B3)
		case "jaeger":
			p.Order = append(p.Order, Jaeger)
		case "xray":
			p.Order = append(p.Order, XRay)
		default:
			return nil, fmt.Errorf("extract: unknown trace context format %q: use w3c, b3, jaeger or xray", word)
		}
	}
	for _, word := range inject {
		switch word {
		case "w3c":
			p.Inject |= W3C
		case "b3":
			p.Inject |= B3Single
		case "b3multi":
			p.Inject |= B3Multi
		case "jaeger":
			p.Inject |= Jaeger
		case "xray":
			p.Inject |= XRay
		default:
			return nil, fmt.Errorf("inject: unknown trace context format %q: use w3c, b3, b3multi, jaeger or xray", word)
		}
	}
	return p, nil
}

// Extract fills ctx from c and reports whether there is a valid context. If not, the
// caller starts a trace; ctx then has no ids, but the Formats that were found, and a
// Decision that came without ids.
func (p *Propagation) Extract(c *Carrier, ctx *Context) bool {
	*ctx = Context{}
	found := false
	for _, f := range p.Order {
		if f&W3C != 0 && c.Traceparent != nil {
			ctx.Formats |= W3C
			if !found {
				found = c.traceparent(ctx)
			}
		}
		if f&B3Single != 0 && c.B3 != nil {
			ctx.Formats |= B3Single
			if !found {
				found = c.b3Single(ctx)
			}
		}
		if f&B3Multi != 0 && c.hasB3Multi() {
			ctx.Formats |= B3Multi
			if !found && ctx.Decision == Deferred { // a lone "b3: 0" counts
				found = c.b3Multi(ctx)
			}
		}
		if f&Jaeger != 0 && c.UberTraceID != nil {
			ctx.Formats |= Jaeger
			if !found {
				found = c.jaeger(ctx)
			}
		}
		if f&XRay != 0 && c.XAmznTraceID != nil {
			ctx.Formats |= XRay
			if !found {
				found = c.xray(ctx)
			}
		}
	}
	return found
}

// Outgoing returns the formats to send for a request with context ctx: the formats that
// came in, and those that are always sent. Their fields replace the request's own; in
// particular a tracestate without a valid traceparent is dropped. The proxy does not
// touch fields of other formats.
func (p *Propagation) Outgoing(ctx *Context) Format { return p.Inject | ctx.Formats }
