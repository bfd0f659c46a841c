package hop

// RecordedField is a field of requests or responses that the configuration asks to be
// recorded: see [Hop.Recorded].
type RecordedField struct {
	Name     string // in lower case
	Response bool
}

// Record makes room for n recorded fields.
func (h *Hop) Record(n int) {
	for len(h.Recorded) < n {
		h.Recorded = append(h.Recorded, Text{})
	}
}
