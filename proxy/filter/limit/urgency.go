package limit

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/gate"
	"github.com/hopscope/hopscope/proxy/message"
)

// urgency is how urgent a request says that it is.
func (l *limiter) urgency(r *message.Head) gate.Urgency {
	if l.PriorityField == "" {
		return gate.DefaultUrgency
	}
	value, ok := r.Lookup(l.PriorityField)
	if !ok {
		return gate.DefaultUrgency
	}
	return parseUrgency(value)
}

// parseUrgency reads the urgency of a Priority field (RFC 9218 section 4.1), or a number
// alone. What is malformed, or out of range, has the default, as the RFC has it.
func parseUrgency(value []byte) gate.Urgency {
	for part := range bytes.SplitSeq(value, []byte(",")) {
		part = bytes.TrimSpace(part)
		if n, ok := bytes.CutPrefix(part, []byte("u=")); ok {
			part, _, _ = bytes.Cut(n, []byte(";")) // parameters say nothing
		} else if len(part) != len(bytes.TrimSpace(value)) {
			continue // another member of the list
		}
		if len(part) == 1 && part[0] >= '0' && part[0] <= '0'+byte(gate.LeastUrgent) {
			return gate.Urgency(part[0] - '0')
		}
		return gate.DefaultUrgency
	}
	return gate.DefaultUrgency
}
