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

	// B3 is both forms of B3.
	B3 = B3Single | B3Multi
)

// Decision is what a caller said about sampling.
type Decision uint8

// The decisions. Deferred leaves it to whoever comes next; Debug is B3's
// "sample, and do not throttle".
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

// Carrier holds the values of the request's trace fields, without the
// whitespace around them. They are not copied. A field that is absent is nil;
// one that is there and empty is not nil, and malformed.
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
}

// Reset empties the carrier for the next request; the memory of Tracestate is
// kept.
func (c *Carrier) Reset() {
	clear(c.Tracestate)
	*c = Carrier{Tracestate: c.Tracestate[:0]}
}

// Context is what came in.
type Context struct {
	// Trace and Parent are the caller's ids, zero where there is no valid
	// context. Parent is the caller's own span.
	Trace  hop.TraceID
	Parent hop.SpanID
	// Decision is the caller's. It may be there without ids ("b3: 0").
	Decision Decision
	// Flags are the W3C flags to send on besides the sampled one: the random
	// bit or nothing.
	Flags byte
	// Formats are those, among the ones that are read, whose fields were in
	// the request, well formed or not.
	Formats Format
	// TraceID64 is true where the trace id came as B3's 16 hex digits; it
	// goes out with as many in B3, and padded with zeros in W3C.
	TraceID64 bool
	// Tracestate are the lines to send on, by [AppendTracestate]; nil unless
	// the context came from traceparent. It points into the Carrier.
	Tracestate [][]byte
}

// Propagation is the configured way in and out.
type Propagation struct {
	// Order lists the formats that are read; the first that holds a valid
	// context wins. Where an entry is [B3], the single form beats the other.
	Order []Format
	// Inject are the formats that are sent always.
	Inject Format
}

// NewPropagation makes a Propagation of configuration words: "w3c" and "b3" in
// extract, where "b3" means both of its forms; "w3c", "b3" and "b3multi" in
// inject, where "b3" means the single form.
func NewPropagation(extract, inject []string) (*Propagation, error) {
	p := &Propagation{}
	for _, word := range extract {
		switch word {
		case "w3c":
			p.Order = append(p.Order, W3C)
		case "b3":
			p.Order = append(p.Order, B3)
		default:
			return nil, fmt.Errorf("extract: unknown trace context format %q: use w3c or b3", word)
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
		default:
			return nil, fmt.Errorf("inject: unknown trace context format %q: use w3c, b3 or b3multi", word)
		}
	}
	return p, nil
}

// Extract fills ctx from c and reports whether there is a valid context. Where
// there is none the caller starts a trace; ctx then has no ids, but keeps the
// Formats that were seen and a Decision that came without ids.
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
			if !found && ctx.Decision == Deferred { // a lone "b3: 0" has spoken
				found = c.b3Multi(ctx)
			}
		}
	}
	return found
}

// Outgoing is the set of formats to send for a request whose context was ctx:
// what came in, and what is always sent. The fields of these formats replace
// the request's own; in particular a tracestate without a valid traceparent is
// dropped. Fields of other formats are none of the proxy's business.
func (p *Propagation) Outgoing(ctx *Context) Format { return p.Inject | ctx.Formats }
