package grpc

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The codes that the proxy itself has a use for.
const (
	codeCancelled         = 1
	codeUnknown           = 2
	codeDeadlineExceeded  = 4
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeUnimplemented     = 12
	codeInternal          = 13
	codeUnavailable       = 14
	codeUnauthenticated   = 16
)

// Status reads grpc-status and grpc-message from trailers, or from the head of
// a response that has no others ("Trailers-Only"). ok is false where there is
// no status; h may be nil. A status that is no number, or none that is known,
// is UNKNOWN. The message is decoded, and good as long as the head is.
func Status(h *message.Head) (status hop.GRPCStatus, text []byte, ok bool) {
	if h == nil {
		return 0, nil, false
	}
	value, ok := h.Get(message.GRPCStatus)
	if !ok {
		return 0, nil, false
	}
	if value, ok := h.Get(message.GRPCMessage); ok {
		text = DecodeMessage(value)
	}
	return parseStatus(value), text, true
}

func parseStatus(value []byte) hop.GRPCStatus {
	code := -1
	if len(value) > 0 && len(value) <= 4 {
		code = 0
		for _, c := range value {
			if c < '0' || c > '9' {
				return hop.GRPCStatusOf(codeUnknown)
			}
			code = code*10 + int(c-'0')
		}
	}
	return hop.GRPCStatusOf(code)
}

// OfHTTP is the gRPC status that clients make of an HTTP status which came
// without one (http-grpc-status-mapping.md). 429 is UNAVAILABLE in it, not
// RESOURCE_EXHAUSTED: a client may try again.
func OfHTTP(status int) hop.GRPCStatus {
	code := codeUnknown
	switch status {
	case 400:
		code = codeInternal
	case 401:
		code = codeUnauthenticated
	case 403:
		code = codePermissionDenied
	case 404:
		code = codeUnimplemented
	case 429, 502, 503, 504:
		code = codeUnavailable
	}
	return hop.GRPCStatusOf(code)
}

// OfFault is the status of the proxy's own answer to a call that failed so. It
// is that of the fault's HTTP status by [OfHTTP], but where more is known: a
// timeout is DEADLINE_EXCEEDED; a client that went away or fell silent has
// CANCELLED its call; content that is too large is RESOURCE_EXHAUSTED; any other mistake of a client's, and a defect of the
// proxy's, is INTERNAL.
func OfFault(k fault.Kind) hop.GRPCStatus {
	switch status := k.Status(); {
	case k == fault.ContentTooLarge: // as gRPC's servers have it for a message that is
		return hop.GRPCStatusOf(codeResourceExhausted)
	case k.Side() == fault.Downstream && (status == 0 || status == 408):
		return hop.GRPCStatusOf(codeCancelled)
	case k.Side() == fault.Downstream, k == fault.Internal, k == fault.Panic:
		return hop.GRPCStatusOf(codeInternal)
	case status == 504:
		return hop.GRPCStatusOf(codeDeadlineExceeded)
	default:
		return OfHTTP(status)
	}
}
