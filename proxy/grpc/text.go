package grpc

import (
	"bytes"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// AppendMessage appends s as a value of grpc-message: in UTF-8, and what is not
// printable ASCII, or is a percent sign, percent-encoded. What is no UTF-8 has
// U+FFFD in its place.
func AppendMessage(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// DecodeMessage is the text of a value of grpc-message: the value itself where
// nothing in it is encoded, else a copy. A percent sign that begins no valid
// code stands for itself, as the protocol has it: a wrong message is better
// than none.
func DecodeMessage(value []byte) []byte {
	first := bytes.IndexByte(value, '%')
	if first < 0 {
		return value
	}
	text := append(make([]byte, 0, len(value)), value[:first]...)
	for i := first; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) {
			hi, lo := unhex(value[i+1]), unhex(value[i+2])
			if hi < 16 && lo < 16 {
				text = append(text, hi<<4|lo)
				i += 2
				continue
			}
		}
		text = append(text, value[i])
	}
	return text
}

// unhex is the value of a hex digit, 255 where c is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
