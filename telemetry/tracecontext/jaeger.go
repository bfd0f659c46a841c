package tracecontext

import (
	"bytes"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// The flags of Jaeger's uber-trace-id that count here.
const (
	jaegerSampled = 0x01
	jaegerDebug   = 0x02
)

// jaeger parses trace-id:span-id:parent-span-id:flags, Jaeger's own format. Ids are hex
// without leading zeros, or with; the parent is deprecated, and ignored. Some clients
// percent-encode the colons.
func (c *Carrier) jaeger(ctx *Context) bool {
	traceText, rest, ok := cutColon(c.UberTraceID)
	spanText, rest, ok2 := cutColon(rest)
	_, flagsText, ok3 := cutColon(rest)
	var trace hop.TraceID
	var span hop.SpanID
	var flags [1]byte
	if !ok || !ok2 || !ok3 || !unhexShort(trace[:], traceText) || !unhexShort(span[:], spanText) ||
		!unhexShort(flags[:], flagsText) || trace.IsZero() || span.IsZero() {
		return false
	}
	ctx.Trace, ctx.Parent, ctx.Decision = trace, span, Drop
	switch {
	case flags[0]&jaegerDebug != 0:
		ctx.Decision = Debug
	case flags[0]&jaegerSampled != 0:
		ctx.Decision = Sample
	}
	ctx.TraceID64 = len(traceText) <= 16
	return true
}

// cutColon cuts at the first colon, which may be percent-encoded.
func cutColon(v []byte) (before, after []byte, ok bool) {
	i := bytes.IndexAny(v, ":%")
	switch {
	case i < 0:
		return nil, nil, false
	case v[i] == ':':
		return v[:i], v[i+1:], true
	case len(v) >= i+3 && v[i+1] == '3' && v[i+2]|0x20 == 'a':
		return v[:i], v[i+3:], true
	}
	return nil, nil, false
}

// unhexShort decodes at least one digit and at most twice dst's length, as a number that
// ends at the end of dst, and reports whether all of src was hex.
func unhexShort(dst, src []byte) bool {
	if len(src) == 0 || len(src) > 2*len(dst) {
		return false
	}
	for i := range src {
		nibble := nibbles[src[len(src)-1-i]]
		if nibble&anyHex == 0 {
			return false
		}
		dst[len(dst)-1-i/2] |= nibble & 0x0f << (4 * (i % 2))
	}
	return true
}

// AppendJaeger appends the value of uber-trace-id. id64 writes the trace id with 16 digits,
// see [Context.TraceID64].
func AppendJaeger(dst []byte, trace hop.TraceID, id64 bool, span hop.SpanID, d Decision) []byte {
	dst = AppendB3TraceID(dst, trace, id64)
	dst = append(dst, ':')
	dst = span.AppendHex(dst)
	return append(dst, ':', '0', ':', "0013"[d]) // the parent is deprecated, and always 0
}
