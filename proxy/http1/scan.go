package http1

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/hopscope/hopscope/proxy/message"
)

// The classes of a byte.
const (
	inToken  = message.InToken
	inValue  = message.InValue
	inTarget = message.InTarget
	inDigit  = message.InDigit
	inHex    = message.InHex
)

// span is how many bytes at the start of b are of a class.
func span(b []byte, class message.Class) int {
	for i, c := range b {
		if !message.Is(c, class) {
			return i
		}
	}
	return len(b)
}

// nameEnd is the index of the first colon, or len(b) where there is none. It looks at eight
// bytes at a time.
func nameEnd(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i < len(b)-7; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:]) ^ ':'*ones
		if zero := (w - ones) &^ w & highs; zero != 0 { // the lowest is exact
			return i + bits.TrailingZeros64(zero)/8
		}
	}
	for i < len(b) && b[i] != ':' {
		i++
	}
	return i
}

// valueEnd is the index of the first byte that no field value may have, or len(b). It looks
// at eight bytes at a time, as long as there is no tab.
func valueEnd(b []byte) int {
	i := 0
	for ; i < len(b)-7; i += 8 {
		if controls := controlBytes(binary.LittleEndian.Uint64(b[i:])); controls != 0 {
			i += bits.TrailingZeros64(controls) / 8
			break
		}
	}
	return i + span(b[i:], inValue)
}

// controlBytes sets the highest bit of each of eight bytes that is less than
// 0x20 or is 0x7f, and may set it of bytes above such a one: the lowest bit
// that is set is exact.
func controlBytes(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	del := w ^ 0x7f*ones
	return ((w-0x20*ones)&^w | (del-ones)&^del) & highs
}

func isValue(b []byte) bool { return valueEnd(b) == len(b) }

// trimSpace cuts optional whitespace off both ends (RFC 9110 section 5.6.3).
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// nextElement cuts the first element off a comma-separated list. It does not
// know quoted strings: the fields that it is for have none.
func nextElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trimSpace(list[:i]), list[i+1:]
	}
	return trimSpace(list), nil
}
