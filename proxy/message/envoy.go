package message

// envoyPrefix begins the names of Envoy's own fields.
const envoyPrefix = "x-envoy-"

// envoyFields are those of them that have a number.
var envoyFields = SetOf(XEnvoyRetryOn, XEnvoyRetryGRPCOn, XEnvoyMaxRetries, XEnvoyTimeout, XEnvoyPerTryTimeout,
	XEnvoyExpectedTimeout, XEnvoyAttemptCount, XEnvoyRateLimited)

// HasEnvoy reports whether a field is Envoy's own: x-envoy-internal and its like. It is
// asked of every request, and looks at names without a number alone.
func (h *Head) HasEnvoy() bool {
	if h.HasAny(envoyFields) {
		return true
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == Unknown && !f.Removed && h.isEnvoy(f) {
			return true
		}
	}
	return false
}

// RemoveEnvoy removes every field that is Envoy's own.
func (h *Head) RemoveEnvoy() {
	for i := range h.Fields {
		if f := &h.Fields[i]; envoyFields.Has(f.ID) || h.isEnvoy(f) {
			f.Removed = true
		}
	}
	for i := range envoyFields {
		h.known[i] &^= envoyFields[i]
	}
}

func (h *Head) isEnvoy(f *Field) bool {
	if f.Name.Len <= uint32(len(envoyPrefix)) {
		return false
	}
	name := h.Bytes(f.Name)
	return lower(name[0]) == 'x' && EqualFold(name[:len(envoyPrefix)], envoyPrefix)
}
