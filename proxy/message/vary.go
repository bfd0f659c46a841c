package message

import "bytes"

// Vary notes in a response that it depends on a field of the request, in lower case (RFC
// 9110 section 12.5.5). A response that says so already stays as it is.
func (h *Head) Vary(on string) {
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Removed || f.ID != Unknown || !EqualFold(h.Bytes(f.Name), "vary") {
			continue
		}
		for name := range bytes.SplitSeq(h.Bytes(f.Value), []byte{','}) {
			if name = bytes.TrimSpace(name); string(name) == "*" || EqualFold(name, on) {
				return
			}
		}
	}
	h.Add(Unknown, "vary", on)
}
