package message

import "bytes"

// CookieValue returns the value of a request's cookie, as it was sent (RFC 6265 section
// 5.4). If there are several of that name, it is the first.
func (h *Head) CookieValue(name string) ([]byte, bool) {
	if !h.Has(Cookie) {
		return nil, false
	}
	fields := h.Fields
	for i := range fields {
		field := &fields[i]
		if field.ID != Cookie || field.Removed {
			continue
		}
		for pair := range bytes.SplitSeq(h.Bytes(field.Value), []byte(";")) {
			if key, value, ok := bytes.Cut(bytes.TrimSpace(pair), []byte("=")); ok && string(key) == name {
				return value, true
			}
		}
	}
	return nil, false
}

// QueryValue returns the value of the first parameter of that name in the target's query,
// as it was sent.
func (h *Head) QueryValue(name string) ([]byte, bool) {
	query := h.Query()
	if len(query) == 0 {
		return nil, false
	}
	for pair := range bytes.SplitSeq(query, []byte("&")) {
		if key, value, _ := bytes.Cut(pair, []byte("=")); string(key) == name {
			return value, true
		}
	}
	return nil, false
}
