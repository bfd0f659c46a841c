package message

// Preflight returns the method that a CORS preflight asks for (the Fetch standard, "CORS
// protocol"); it is empty for any other request.
func (h *Head) Preflight() []byte {
	if h.Method != OPTIONS {
		return nil
	}
	if _, crosses := h.Lookup("origin"); !crosses {
		return nil
	}
	method, _ := h.Lookup("access-control-request-method")
	return method
}
