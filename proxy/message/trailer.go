package message

// Trailing is what a trailer section ends, which decides what may stand in it:
// the next hop may merge trailers into the head.
type Trailing uint8

const (
	// OfRequest is a request's, gRPC calls among them, whose requests have no
	// trailers of their own.
	OfRequest Trailing = iota
	// OfResponse is a response's.
	OfResponse
	// OfCall is that of the response to a gRPC call: metadata, in which the
	// application may use any name.
	OfCall
)

// Allows reports whether a field may stand in the trailer section (RFC 9110
// section 6.5.1).
func (t Trailing) Allows(name []byte) bool {
	return !PropertiesOf(name).Has([...]Property{
		OfRequest:  ConnectionSpecific | Frames | HeadOnly | Guarded,
		OfResponse: ConnectionSpecific | Frames | HeadOnly,
		OfCall:     ConnectionSpecific | Frames,
	}[t])
}

// StripTrailers marks as removed what may not stand in a trailer section, which
// h is. It reports whether any field is left.
func (h *Head) StripTrailers(t Trailing) (some bool) {
	for i := range h.Fields {
		f := &h.Fields[i]
		if !f.Removed && !t.Allows(h.Bytes(f.Name)) {
			f.Removed = true
			h.known.remove(f.ID)
		}
		some = some || !f.Removed
	}
	return some
}
