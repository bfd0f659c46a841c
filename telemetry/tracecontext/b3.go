package tracecontext

import "github.com/hopscope/hopscope/telemetry/hop"

// b3Single parses traceid-spanid[-state[-parentspanid]], or only a state: a decision
// without a context.
func (c *Carrier) b3Single(ctx *Context) bool {
	v := c.B3
	if len(v) == 1 {
		if d := b3State(v[0]); d != Deferred && ctx.Decision == Deferred {
			ctx.Decision = d
		}
		return false
	}
	digits := 32
	if len(v) > 16 && v[16] == '-' {
		digits = 16
	}
	end := digits + 1 + 16 // of the span id
	if len(v) < end || v[digits] != '-' {
		return false
	}
	trace, ok := b3Trace(v[:digits])
	span, ok2 := b3Span(v[digits+1 : end])
	if !ok || !ok2 {
		return false
	}
	decision := Deferred
	if rest := v[end:]; len(rest) > 0 {
		if len(rest) < 2 || rest[0] != '-' {
			return false
		}
		if decision = b3State(rest[1]); decision == Deferred {
			return false
		}
		if rest = rest[2:]; len(rest) > 0 && !b3ParentOK(rest) {
			return false
		}
	}
	ctx.Trace, ctx.Parent, ctx.Decision = trace, span, decision
	ctx.TraceID64 = digits == 16
	return true
}

// b3ParentOK checks the "-parentspanid" at the end of the single form. Its
// value is the caller's parent, which nothing here needs.
func b3ParentOK(rest []byte) bool {
	var parent hop.SpanID
	return len(rest) == 17 && rest[0] == '-' && unhex(parent[:], rest[1:], anyHex)
}

func b3State(c byte) Decision {
	switch c {
	case '0':
		return Drop
	case '1':
		return Sample
	case 'd':
		return Debug
	}
	return Deferred
}

func (c *Carrier) hasB3Multi() bool {
	return c.XB3TraceID != nil || c.XB3SpanID != nil || c.XB3ParentSpanID != nil ||
		c.XB3Sampled != nil || c.XB3Flags != nil
}

// b3Multi parses the x-b3-* fields. A decision may come without ids. One malformed field
// makes all of them malformed.
func (c *Carrier) b3Multi(ctx *Context) bool {
	decision, ok := c.b3Decision()
	if !ok {
		return false
	}
	if c.XB3TraceID == nil && c.XB3SpanID == nil && c.XB3ParentSpanID == nil {
		if ctx.Decision == Deferred {
			ctx.Decision = decision
		}
		return false
	}
	trace, ok := b3Trace(c.XB3TraceID)
	span, ok2 := b3Span(c.XB3SpanID)
	if !ok || !ok2 {
		return false
	}
	if c.XB3ParentSpanID != nil {
		var parent hop.SpanID
		if len(c.XB3ParentSpanID) != 16 || !unhex(parent[:], c.XB3ParentSpanID, anyHex) {
			return false
		}
	}
	ctx.Trace, ctx.Parent, ctx.Decision = trace, span, decision
	ctx.TraceID64 = len(c.XB3TraceID) == 16
	return true
}

// b3Decision reads x-b3-flags and x-b3-sampled. Old tracers send "true" and "false".
func (c *Carrier) b3Decision() (d Decision, ok bool) {
	switch {
	case c.XB3Flags == nil || string(c.XB3Flags) == "0":
	case string(c.XB3Flags) == "1":
		return Debug, true
	default:
		return Deferred, false
	}
	if c.XB3Sampled == nil {
		return Deferred, true
	}
	switch string(c.XB3Sampled) {
	case "1", "true":
		return Sample, true
	case "0", "false":
		return Drop, true
	}
	return Deferred, false
}

func b3Trace(v []byte) (t hop.TraceID, ok bool) {
	switch len(v) {
	case 32:
		ok = unhex(t[:], v, anyHex)
	case 16:
		ok = unhex(t[8:], v, anyHex)
	}
	return t, ok && !t.IsZero()
}

func b3Span(v []byte) (s hop.SpanID, ok bool) {
	ok = len(v) == 16 && unhex(s[:], v, anyHex)
	return s, ok && !s.IsZero()
}

// AppendB3 appends the value of the single b3 field. id64 writes the trace id with 16
// digits, see [Context.TraceID64]. It leaves out a zero parent, and a deferred decision
// together with the parent.
func AppendB3(dst []byte, trace hop.TraceID, id64 bool, span, parent hop.SpanID, d Decision) []byte {
	dst = AppendB3TraceID(dst, trace, id64)
	dst = append(dst, '-')
	dst = span.AppendHex(dst)
	if d == Deferred {
		return dst
	}
	dst = append(dst, '-', "?01d"[d])
	if parent.IsZero() {
		return dst
	}
	dst = append(dst, '-')
	return parent.AppendHex(dst)
}

// AppendB3TraceID appends the value of x-b3-traceid. Use [hop.SpanID.AppendHex] for
// x-b3-spanid and x-b3-parentspanid.
func AppendB3TraceID(dst []byte, trace hop.TraceID, id64 bool) []byte {
	if !id64 {
		return trace.AppendHex(dst)
	}
	return hop.SpanID(trace[8:]).AppendHex(dst)
}

// B3Sampled returns the value of x-b3-sampled. If it is "", do not send the field; for
// [Debug] send "x-b3-flags: 1" instead.
func (d Decision) B3Sampled() string {
	switch d {
	case Drop:
		return "0"
	case Sample:
		return "1"
	}
	return ""
}
