package operators

import (
	"slices"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Value appends what a Hop has for an operator, as it is: nothing is escaped. Any number of
// goroutines may call it.
type Value func(dst []byte, h *hop.Hop) ([]byte, Kind)

// Kind is what a value is.
type Kind uint8

const (
	// None says that there is no value; nothing was appended.
	None Kind = iota
	// Text is any text.
	Text
	// Number is a number in decimal.
	Number
)

// Recorded lists the fields of requests and responses that values need beyond those that
// every Hop has. [hop.Hop.Recorded] has what they are, in this order.
type Recorded []hop.RecordedField

// index returns the place of a field, which it adds if need be.
func (r *Recorded) index(f hop.RecordedField) int {
	if i := slices.Index(*r, f); i >= 0 {
		return i
	}
	*r = append(*r, f)
	return len(*r) - 1
}

// appendInt appends n in decimal. Most numbers are a status or a few milliseconds, for which
// strconv is slower.
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
