package message

// Class is a set of classes of bytes, a bit each.
type Class uint8

// What a byte may be a part of.
const (
	InToken  Class = 1 << iota // RFC 9110 section 5.6.2
	InName                     // the same in lower case, as HTTP/2 has names
	InValue                    // RFC 9110 section 5.5: field-vchar, SP, HTAB
	InTarget                   // what a request target may hold on the wire
	InHost                     // reg-name of RFC 3986 section 3.2.2
	InDigit
	InHex
	inIPv6 // what may stand between brackets
)

// classes tells the classes of each byte. It is never written to.
var classes = func() (table [256]Class) {
	set := func(c Class, chars string) {
		for _, b := range []byte(chars) {
			table[b] |= c
		}
	}
	const digits = "0123456789"
	const small = "abcdefghijklmnopqrstuvwxyz"
	const capital = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	set(InToken|InName|InHost, digits+small)
	set(InToken|InHost, capital)
	set(InToken|InName, "!#$%&'*+-.^_`|~")
	set(InHost, "-._~%!$&'()*+,;=")
	set(InDigit, digits)
	set(InHex, digits+"abcdefABCDEF")
	set(inIPv6, digits+"abcdefABCDEF:.")
	set(InValue, "\t ")
	for c := 0x21; c <= 0x7e; c++ {
		table[c] |= InValue | InTarget
	}
	table['#'] &^= InTarget // a fragment is never sent (RFC 9112 section 3.2)
	for c := 0x80; c <= 0xff; c++ {
		table[c] |= InValue
	}
	return table
}()

// Is reports whether a byte is of one of the classes.
func Is(c byte, class Class) bool { return classes[c]&class != 0 }

// Prefix is how many bytes at the start of b are of a class.
func Prefix[T text](b T, class Class) int {
	for i := range len(b) {
		if classes[b[i]]&class == 0 {
			return i
		}
	}
	return len(b)
}

// All reports whether b is not empty and all of a class.
func All[T text](b T, class Class) bool { return len(b) > 0 && Prefix(b, class) == len(b) }

// HexByte is a byte in two hexadecimal digits, for errors.
func HexByte(c byte) string {
	const hex = "0123456789abcdef"
	return string([]byte{hex[c>>4], hex[c&15]})
}
