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
	var v [2 * len(t)]byte
	putHex(v[:16], t[:8])
	putHex(v[16:], t[8:])
	return append(dst, v[:]...)
}

// AppendHex appends the 16 hex digits to dst.
func (s SpanID) AppendHex(dst []byte) []byte {
	var v [2 * len(s)]byte
	putHex(v[:], s[:])
	return append(dst, v[:]...)
}

// putHex writes 8 bytes as 16 hex digits, four bytes at a time: an id is written some ten
// times for each request.
func putHex(dst, src []byte) {
	binary.BigEndian.PutUint64(dst, hexOf(binary.BigEndian.Uint32(src)))
	binary.BigEndian.PutUint64(dst[8:], hexOf(binary.BigEndian.Uint32(src[4:])))
}

// hexOf returns the eight digits of x, a byte each.
func hexOf(x uint32) uint64 {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f // a digit's value in each byte
	letters := (v + 0x0606060606060606) >> 4 & 0x0101010101010101
	return v + 0x3030303030303030 + letters*('a'-'0'-10)
}
