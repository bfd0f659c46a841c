package spans

import "github.com/hopscope/hopscope/telemetry/hop"

// appendCall appends the attributes of OpenTelemetry's gRPC conventions, for both sides
// of the call: service and method, and the status if there is one.
func appendCall(b []byte, h *hop.Hop, status hop.GRPCStatus) []byte {
	b = appendString(b, "rpc.system", "grpc")
	if service, method, ok := hop.RPC(h.Bytes(h.Path)); ok {
		b = appendString(b, "rpc.service", service)
		b = appendString(b, "rpc.method", method)
	}
	if status != 0 {
		b = appendInt(b, "rpc.grpc.status_code", int64(status.Code()))
	}
	return b
}

// callName returns "{package.Service}/{Method}", the span name by the conventions, or
// nil. It comes from the path, where a client could invent any number of names. So it is
// used only if the endpoint's answer shows that the method exists, and only if it is a
// valid protobuf name.
func callName(h *hop.Hop) []byte {
	if !h.GRPC || !implemented(h) {
		return nil
	}
	path := h.Bytes(h.Path)
	if _, _, ok := hop.RPC(path); !ok || len(path) > maxCallName {
		return nil
	}
	for _, c := range path {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '.' && c != '/' {
			return nil
		}
	}
	return path[1:]
}

// maxCallName is the longest path that becomes a name, in bytes.
const maxCallName = 256

// implemented reports whether the endpoint answered with gRPC (HTTP status 200), and not
// that it lacks the method. UNKNOWN without a message stands for an answer that was not
// gRPC.
func implemented(h *hop.Hop) bool {
	const unknown, unimplemented = 2, 12
	a := h.LastAttempt()
	if a == nil || a.Status != 200 || a.GRPCStatus == 0 {
		return false
	}
	code := a.GRPCStatus.Code()
	return code != unimplemented && (code != unknown || h.GRPCMessage.Len() > 0)
}
