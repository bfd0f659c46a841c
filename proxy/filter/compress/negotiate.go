package compress

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/message"
)

// The qualities of RFC 9110 section 12.4.2, in thousandths.
const (
	unsaid = -1
	most   = 1000
)

// negotiate returns the index of the algorithm that the client wants most, -1 if it wants
// none of them. Of those that it wants alike the first is taken.
func negotiate(r *message.Head, algorithms []Algorithm) int {
	var said [len(codings)]int
	for i := range said {
		said[i] = unsaid
	}
	any, identity, asked := unsaid, unsaid, false
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Removed || !message.EqualFold(r.Bytes(f.Name), "accept-encoding") {
			continue
		}
		asked = true
		for member := range bytes.SplitSeq(r.Bytes(f.Value), []byte{','}) {
			coding, parameters, _ := bytes.Cut(member, []byte{';'})
			coding = bytes.TrimSpace(coding)
			q, ok := quality(parameters)
			if !ok {
				continue
			}
			switch {
			case string(coding) == "*":
				any = q
			case message.EqualFold(coding, "identity"):
				identity = q
			default:
				for a, name := range codings {
					if message.EqualFold(coding, name) || Algorithm(a) == Gzip && message.EqualFold(coding, "x-gzip") {
						said[a] = q
					}
				}
			}
		}
	}
	best, chosen := max(identity, 0), -1
	if !asked {
		return chosen
	}
	for i, a := range algorithms {
		q := said[a]
		if q == unsaid {
			q = any
		}
		if q > 0 && (q > best || chosen < 0 && q == best) {
			best, chosen = q, i
		}
	}
	return chosen
}

// quality reads the quality of a member; ok is false where it is malformed.
func quality(parameters []byte) (q int, ok bool) {
	text := bytes.TrimSpace(parameters)
	if len(text) == 0 {
		return most, true
	}
	if len(text) < 3 || text[0]|0x20 != 'q' || text[1] != '=' {
		return 0, false
	}
	whole, digits := text[2], text[3:]
	if len(digits) > 0 {
		if digits[0] != '.' || len(digits) > 4 {
			return 0, false
		}
		digits = digits[1:]
	}
	for unit := 100; len(digits) > 0; digits, unit = digits[1:], unit/10 {
		if digits[0] < '0' || digits[0] > '9' {
			return 0, false
		}
		q += int(digits[0]-'0') * unit
	}
	if whole == '1' {
		q += most
	}
	return q, (whole == '0' || whole == '1') && q <= most
}
