package spans

import "github.com/hopscope/hopscope/telemetry/hop"

// appendCall appends the attributes of OpenTelemetry's gRPC conventions, for both sides
// of the call: service and method, and the status if there is one.
func appendCall(b []byte, h *hop.Hop, status hop.GRPCStatus) []byte {
	b = appendString(b, "rpc.system", "grpc")
	if service, method, ok := hop.RPC(h.CallPath()); ok {
		b = appendString(b, "rpc.service", service)
		b = appendString(b, "rpc.method", method)
	}
	if status != 0 {
		b = appendInt(b, "rpc.grpc.status_code", int64(status.Code()))
	}
	return b
}
