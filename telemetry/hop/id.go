package hop

import "encoding/hex"

// TraceID is 16 bytes; all zero is no trace.
type TraceID [16]byte

// SpanID is 8 bytes; all zero is no span.
type SpanID [8]byte

// IsZero reports whether there is no trace.
func (t TraceID) IsZero() bool { return t == TraceID{} }

// IsZero reports whether there is no span.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// String is 32 lower-case hex digits.
func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

// String is 16 lower-case hex digits.
func (s SpanID) String() string { return hex.EncodeToString(s[:]) }

// AppendHex appends the 32 hex digits to dst.
func (t TraceID) AppendHex(dst []byte) []byte {
	var v [2 * len(t)]byte
	for i, b := range t {
		v[2*i], v[2*i+1] = pairs[b][0], pairs[b][1]
	}
	return append(dst, v[:]...)
}

// AppendHex appends the 16 hex digits to dst.
func (s SpanID) AppendHex(dst []byte) []byte {
	var v [2 * len(s)]byte
	for i, b := range s {
		v[2*i], v[2*i+1] = pairs[b][0], pairs[b][1]
	}
	return append(dst, v[:]...)
}

// pairs are the digits of each byte: an id is written some ten times for each request.
var pairs = func() (t [256][2]byte) {
	for b := range t {
		hex.Encode(t[b][:], []byte{byte(b)})
	}
	return t
}()
