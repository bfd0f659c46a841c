package tracecontext

import "github.com/hopscope/hopscope/telemetry/hop"

// TraceparentLen is the length of a traceparent of version 00, in bytes.
const TraceparentLen = 55

// traceparent parses version-traceid-parentid-flags. A later version may be longer, and
// is read like 00 (W3C Trace Context level 2, section 4.3).
func (c *Carrier) traceparent(ctx *Context) bool {
	v := c.Traceparent
	if c.TraceparentCount > 1 || len(v) < TraceparentLen ||
		v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	var version, flags [1]byte
	var trace hop.TraceID
	var parent hop.SpanID
	if !unhex(version[:], v[0:2], lowerHex) || !unhex(trace[:], v[3:35], lowerHex) ||
		!unhex(parent[:], v[36:52], lowerHex) || !unhex(flags[:], v[53:55], lowerHex) {
		return false
	}
	switch {
	case version[0] == 0xff:
		return false
	case version[0] == 0 && len(v) != TraceparentLen:
		return false
	case len(v) > TraceparentLen && v[TraceparentLen] != '-':
		return false
	case trace.IsZero() || parent.IsZero():
		return false
	}
	ctx.Trace, ctx.Parent = trace, parent
	ctx.Decision = Drop
	if flags[0]&FlagSampled != 0 {
		ctx.Decision = Sample
	}
	ctx.Flags = flags[0] & FlagRandom
	ctx.Tracestate = c.Tracestate
	return true
}

// AppendTraceparent appends a traceparent of version 00.
func AppendTraceparent(dst []byte, trace hop.TraceID, span hop.SpanID, flags byte) []byte {
	dst = trace.AppendHex(append(dst, "00-"...))
	dst = span.AppendHex(append(dst, '-'))
	return append(dst, '-', digits[flags>>4], digits[flags&15])
}

const digits = "0123456789abcdef"

// putHex writes src as lower-case digits to dst, which must have room for them.
func putHex(dst, src []byte) {
	for i, b := range src {
		dst[2*i], dst[2*i+1] = digits[b>>4], digits[b&15]
	}
}

// The digits that unhex accepts.
const (
	lowerHex byte = 0x10
	anyHex   byte = 0x20
)

// nibbles maps a digit to its value, in the low half, and to the kinds of hex that it
// belongs to, in the high half; everything else is 0.
var nibbles = [256]byte{
	'0': 0x30, '1': 0x31, '2': 0x32, '3': 0x33, '4': 0x34,
	'5': 0x35, '6': 0x36, '7': 0x37, '8': 0x38, '9': 0x39,
	'a': 0x3a, 'b': 0x3b, 'c': 0x3c, 'd': 0x3d, 'e': 0x3e, 'f': 0x3f,
	'A': 0x2a, 'B': 0x2b, 'C': 0x2c, 'D': 0x2d, 'E': 0x2e, 'F': 0x2f,
}

// unhex decodes src, of exactly twice dst's length, and reports whether all of
// it was hex of the given kind.
func unhex(dst, src []byte, kind byte) bool {
	src = src[:2*len(dst)]
	for i := range dst {
		hi, lo := nibbles[src[2*i]], nibbles[src[2*i+1]]
		kind &= hi & lo
		dst[i] = hi<<4 | lo&0x0f
	}
	return kind != 0
}
