package cors

import (
	"slices"

	"github.com/hopscope/hopscope/proxy/message"
)

// Matches returns the condition of a route of some methods that has the filter. A preflight
// goes by the method that it asks for, since it is about that request.
func Matches(methods []string) func(*message.Head) bool {
	methods = slices.Clone(methods)
	has := func(method []byte) bool {
		for _, m := range methods {
			if string(method) == m {
				return true
			}
		}
		return false
	}
	return func(h *message.Head) bool {
		if has(h.MethodText()) {
			return true
		}
		if h.Method != message.OPTIONS {
			return false
		}
		method, _ := h.Lookup(requestMethod)
		_, crosses := h.Lookup(origin)
		return crosses && has(method)
	}
}
