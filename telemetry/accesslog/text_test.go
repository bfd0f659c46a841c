package accesslog

import (
	"strings"
	"testing"
)

// TestEscapedAtEveryPlace puts each byte at each place of a text: what is looked at in
// eights is escaped as a byte by itself is.
func TestEscapedAtEveryPlace(t *testing.T) {
	for c := range 256 {
		one := string([]byte{byte(c)})
		want := string(appendSpecial(nil, one))
		for _, around := range []string{" ", "~", "!", "#", "[", "]", "\x01", "\x7f", "\"", "\\", "é"} {
			edge := string(appendSpecial(nil, around))
			for before := range 17 {
				for _, after := range []int{0, 1, 9} {
					text := strings.Repeat(around, before) + one + strings.Repeat(around, after)
					got := string(appendEscaped([]byte("x"), text))
					if want := "x" + strings.Repeat(edge, before) + want + strings.Repeat(edge, after); got != want && c < 0x80 {
						t.Fatalf("%q is %q, want %q", text, got, want)
					}
					if bytes := string(appendEscaped([]byte("x"), []byte(text))); bytes != got {
						t.Fatalf("%q is %q as bytes and %q as a string", text, bytes, got)
					}
				}
			}
		}
	}
}
