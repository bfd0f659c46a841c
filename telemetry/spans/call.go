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
// nil. It comes from the path, so a client can invent it; where too many were invented,
// the Hop's Template says so. It has to be a valid protobuf name.
func callName(h *hop.Hop) []byte {
	if !h.GRPC || h.Template == hop.OtherRoute {
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
