package accesslog

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// plain are the bytes that a JSON string holds as they are: printable ASCII
// but the quotation mark and the backslash.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendText appends s as a JSON string, or null if it is empty.
func appendText[T string | []byte](dst []byte, s T) []byte {
	if len(s) == 0 {
		return append(dst, "null"...)
	}
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends s as the inside of a JSON string. Nearly all texts are plain: they
// are copied, and then looked at eight bytes at a time.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	n := len(dst)
	dst = append(dst, s...)
	i := n
	for ; i < len(dst)-7 && allPlain(binary.LittleEndian.Uint64(dst[i:])); i += 8 {
	}
	for ; i < len(dst); i++ {
		if !plain[dst[i]] {
			return appendSpecial(dst[:i], s[i-n:])
		}
	}
	return dst
}

// allPlain reports whether each of the eight bytes of x is plain.
func allPlain(x uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	// A byte's top bit is set in none of these if the byte is plain. They are exact as long
	// as no byte of x has its own top bit set, and that is the first of them.
	special := x | (x + ones) | (x - ones*' ')
	special |= (x ^ ones*'"') - ones
	special |= (x ^ ones*'\\') - ones
	return special&tops == 0
}

// appendInt appends n in decimal. Most numbers in a log are small.
func appendInt(dst []byte, n int64) []byte {
	switch {
	case n < 0 || n > 999:
		return strconv.AppendInt(dst, n, 10)
	case n > 99:
		return append(dst, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
	case n > 9:
		return append(dst, byte('0'+n/10), byte('0'+n%10))
	}
	return append(dst, byte('0'+n))
}

// appendSpecial is appendEscaped for text with special characters. It escapes all control
// characters, even those that JSON allows: people read logs on terminals.
func appendSpecial[T string | []byte](dst []byte, s T) []byte {
	for len(s) > 0 {
		c := s[0]
		if c < utf8.RuneSelf {
			dst = appendASCII(dst, c)
			s = s[1:]
			continue
		}
		// A conversion of at most four bytes stays on the stack.
		r, size := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, "\uFFFD"...)
		case r < 0xa0: // C1 control characters
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return dst
}

func appendASCII(dst []byte, c byte) []byte {
	switch {
	case plain[c]:
		return append(dst, c)
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

const hexDigits = "0123456789abcdef"
