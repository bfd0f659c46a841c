package tracecontext

import (
	"encoding/binary"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// NewTraceID makes an id of two random words; it is never zero.
func NewTraceID(hi, lo uint64) (t hop.TraceID) {
	if hi|lo == 0 {
		lo = 1
	}
	binary.BigEndian.PutUint64(t[:8], hi)
	binary.BigEndian.PutUint64(t[8:], lo)
	return t
}

// NewSpanID makes an id of a random word; it is never zero.
func NewSpanID(random uint64) (s hop.SpanID) {
	binary.BigEndian.PutUint64(s[:], max(random, 1))
	return s
}

// AppendRequestID appends a version 4 UUID (RFC 9562 section 5.4) made of two
// random words: 36 bytes, for x-request-id.
func AppendRequestID(dst []byte, hi, lo uint64) []byte {
	hi = hi&^0xf000 | 0x4000         // version 4
	lo = lo&^(3<<62) | uint64(2)<<62 // variant 10
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	var text [36]byte
	put := func(at int, digits uint64) { binary.LittleEndian.PutUint64(text[at:], digits) }
	put(0, hop.Hex([4]byte(raw[0:])))
	second, third, fourth := hop.Hex([4]byte(raw[4:])), hop.Hex([4]byte(raw[8:])), hop.Hex([4]byte(raw[12:]))
	put(9, second)
	put(14, second>>32)
	put(19, third)
	put(24, third>>32)
	put(28, fourth)
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}
