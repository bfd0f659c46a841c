package spans

import "github.com/hopscope/hopscope/telemetry/hop"

// appendCall appends what OpenTelemetry's conventions for gRPC have a span say,
// on both sides of the call: whose method it is, and its status where there is
// one.
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

// callName is "{package.Service}/{Method}", which the conventions want as the
// name of a call's spans, or nil. It comes out of the path, so a client could
// make up as many as it likes: it is used only where an endpoint's answer shows
// that it has the method. A name that is no name in protobuf is never used.
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

// implemented reports whether the endpoint answered a call by gRPC (whose HTTP
// status is always 200), and not that it has no such method. UNKNOWN without a
// message is what stands for an answer that was no gRPC at all.
func implemented(h *hop.Hop) bool {
	const unknown, unimplemented = 2, 12
	a := h.LastAttempt()
	if a == nil || a.Status != 200 || a.GRPCStatus == 0 {
		return false
	}
	code := a.GRPCStatus.Code()
	return code != unimplemented && (code != unknown || h.GRPCMessage.Len() > 0)
}
