package hop

import (
	"encoding/binary"
	"encoding/hex"
)

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
	return SpanID(t[8:]).AppendHex(SpanID(t[:8]).AppendHex(dst))
}

// AppendHex appends the 16 hex digits to dst.
func (s SpanID) AppendHex(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, Hex([4]byte(s[:4])))
	return binary.LittleEndian.AppendUint64(dst, Hex([4]byte(s[4:])))
}

// Hex is the eight lower-case digits of four bytes, the first digit in the lowest byte. An
// id is written some ten times for each request, so it is done without a table.
func Hex(b [4]byte) uint64 {
	const ones = 0x0101010101010101
	w := uint64(binary.LittleEndian.Uint32(b[:]))
	w = (w | w<<16) & 0x0000ffff0000ffff
	w = (w | w<<8) & 0x00ff00ff00ff00ff
	digits := w>>4&0x000f000f000f000f | w<<8&0x0f000f000f000f00
	letters := (digits + 6*ones) >> 4 & ones // 1 where the digit is more than 9
	return digits + '0'*ones + letters*('a'-'0'-10)
}
