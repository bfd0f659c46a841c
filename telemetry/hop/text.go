package hop

// Text is a piece of a Hop's own storage. It keeps request bytes beyond the life of the
// connection's buffer, without an allocation for each.
type Text struct{ off, len uint32 }

// MaxText is the longest piece that a Hop keeps, in bytes; longer texts are cut.
const MaxText = 4096

// Len is the length in bytes.
func (t Text) Len() int { return int(t.len) }

// Set copies b into the Hop's storage and points t, one of h's fields, at it.
func (h *Hop) Set(t *Text, b []byte) {
	if len(b) > MaxText {
		b = b[:MaxText]
	}
	*t = Text{uint32(len(h.text)), uint32(len(b))}
	h.text = append(h.text, b...)
}

// Rewrite records the path that the request goes on with.
func (h *Hop) Rewrite(path []byte) {
	path = path[:min(len(path), MaxText)]
	if string(path) == string(h.Bytes(h.Path)) {
		h.RewrittenPath = Text{}
		return
	}
	h.Set(&h.RewrittenPath, path)
}

// SetString is [Hop.Set] for a string.
func (h *Hop) SetString(t *Text, s string) {
	if len(s) > MaxText {
		s = s[:MaxText]
	}
	*t = Text{uint32(len(h.text)), uint32(len(s))}
	h.text = append(h.text, s...)
}

// Bytes returns the piece; it is valid until the Hop is recorded.
func (h *Hop) Bytes(t Text) []byte { return h.text[t.off : t.off+t.len] }

// String returns a copy of the piece.
func (h *Hop) String(t Text) string { return string(h.Bytes(t)) }

// Clone returns a copy of h, no larger than needed. It shares only Labels, TLS and Recovered with h,
// which never change.
func (h *Hop) Clone() *Hop {
	c := *h
	c.text = append(make([]byte, 0, len(h.text)), h.text...)
	c.Attempts = append(make([]Attempt, 0, len(h.Attempts)), h.Attempts...)
	c.Recorded = append([]Text(nil), h.Recorded...)
	return &c
}

// CloneTo makes c a copy of h as [Hop.Clone] does, in the storage that c has.
func (h *Hop) CloneTo(c *Hop) {
	text, attempts, recorded := append(c.text[:0], h.text...), append(c.Attempts[:0], h.Attempts...), append(c.Recorded[:0], h.Recorded...)
	*c = *h
	c.text, c.Attempts, c.Recorded = text, attempts, recorded
}

// Size returns about how many bytes a [Hop.Clone] of h takes. What it shares with other
// hops of the connection counts in full, since it may be the last of them.
func (h *Hop) Size() int {
	const fixed, attempt, recovered = 616, 288, 128
	shared := h.TLS.size()
	for i := range h.Attempts {
		shared += h.Attempts[i].TLS.size() + len(h.Attempts[i].Evidence)
	}
	if r := h.Recovered; r != nil {
		shared += recovered + r.Failure.size()
	}
	return fixed + shared + len(h.text) + attempt*len(h.Attempts) + 8*len(h.Recorded) +
		h.Failure.size() + len(h.Details) + len(h.Template)
}
