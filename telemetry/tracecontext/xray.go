package tracecontext

import (
	"bytes"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// rootLen is the length of AWS X-Ray's form of a trace id: 1-, 8 digits, -, 24 digits.
const rootLen = 35

// xray parses the fields Root=1-...;Parent=...;Sampled=1 of AWS X-Ray, in any order. A load
// balancer that begins a trace sends a root without a parent. Sampled=? leaves the decision
// open, and so does its absence.
func (c *Carrier) xray(ctx *Context) bool {
	var trace hop.TraceID
	var parent hop.SpanID
	decision, rooted := Deferred, false
	for rest := c.XAmznTraceID; len(rest) > 0; {
		var name, value []byte
		_, name, value, rest = nextXRay(rest)
		switch string(name) {
		case "Root":
			rooted = len(value) == rootLen && value[0] == '1' && value[1] == '-' && value[10] == '-' &&
				unhex(trace[:4], value[2:10], anyHex) && unhex(trace[4:], value[11:], anyHex)
			if !rooted {
				return false
			}
		case "Parent":
			if len(value) != 16 || !unhex(parent[:], value, anyHex) {
				return false
			}
		case "Sampled":
			switch string(value) {
			case "0":
				decision = Drop
			case "1":
				decision = Sample
			}
		}
	}
	if !rooted || trace.IsZero() {
		return false
	}
	ctx.Trace, ctx.Parent, ctx.Decision = trace, parent, decision
	return true
}

// nextXRay cuts the first field off a list, and trims it. A field without "=" has no name.
func nextXRay(list []byte) (field, name, value, rest []byte) {
	field, rest, _ = bytes.Cut(list, []byte{';'})
	field = bytes.Trim(field, " \t")
	if i := bytes.IndexByte(field, '='); i >= 0 {
		name, value = field[:i], field[i+1:]
	}
	return field, name, value, rest
}

// AppendXRay appends the value of x-amzn-trace-id. came is the value that came in, nil for
// none: its further fields, such as Lineage, follow unchanged.
func AppendXRay(dst []byte, trace hop.TraceID, span hop.SpanID, d Decision, came []byte) []byte {
	var root [rootLen]byte
	root[0], root[1], root[10] = '1', '-', '-'
	putHex(root[2:10], trace[:4])
	putHex(root[11:], trace[4:])
	dst = append(dst, "Root="...)
	dst = append(dst, root[:]...)
	dst = append(dst, ";Parent="...)
	dst = span.AppendHex(dst)
	switch {
	case d.Sampled():
		dst = append(dst, ";Sampled=1"...)
	case d == Drop:
		dst = append(dst, ";Sampled=0"...)
	}
	for rest := came; len(rest) > 0; {
		var field, name []byte
		field, name, _, rest = nextXRay(rest)
		switch string(name) {
		case "Root", "Parent", "Sampled", "":
			continue
		}
		dst = append(dst, ';')
		dst = append(dst, field...)
	}
	return dst
}
