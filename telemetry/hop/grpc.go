package hop

import (
	"bytes"
	"fmt"
)

// GRPCStatus is the status of a gRPC call: its code plus one, so that zero
// means that there is none.
type GRPCStatus uint8

// grpcNames are the codes' names, as gRPC's own documentation has them.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// GRPCStatusOf returns the status of a code; a code that is not known is
// UNKNOWN, as gRPC's clients take it.
func GRPCStatusOf(code int) GRPCStatus {
	if code < 0 || code >= len(grpcNames) {
		code = 2
	}
	return GRPCStatus(code + 1)
}

// Code is the code, 0 to 16; -1 where there is no status.
func (s GRPCStatus) Code() int { return int(s) - 1 }

// String is the code's name, such as "UNAVAILABLE"; "" where there is none.
func (s GRPCStatus) String() string {
	if s == 0 {
		return ""
	}
	return grpcNames[s-1]
}

// Describe says the status in words, such as "UNAVAILABLE (14)"; "" where there
// is none.
func (s GRPCStatus) Describe() string {
	if s == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d)", s, s.Code())
}

// Failed reports whether there is a status, and it is not OK.
func (s GRPCStatus) Failed() bool { return s > 1 }

// ServerError reports whether the status is one that a SERVER span counts as
// an error: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE
// and DATA_LOSS (OpenTelemetry's conventions for gRPC).
func (s GRPCStatus) ServerError() bool {
	switch s.Code() {
	case 2, 4, 12, 13, 14, 15:
		return true
	}
	return false
}

// GRPCReason says how a gRPC call ended, such as "UNAVAILABLE (14): no backend";
// "" where it has no status.
func (h *Hop) GRPCReason() string {
	s := h.GRPCStatus.Describe()
	if s != "" && h.GRPCMessage.Len() > 0 {
		s += ": " + h.String(h.GRPCMessage)
	}
	return s
}

// RPC takes the path of a gRPC call, "/package.Service/Method", apart. ok is
// false where the path does not have that form. A service may have a slash in
// it: the prefix under which it is served.
func RPC(path []byte) (service, method []byte, ok bool) {
	last := bytes.LastIndexByte(path, '/')
	if last < 2 || last == len(path)-1 || path[0] != '/' {
		return nil, nil, false
	}
	return path[1:last], path[last+1:], true
}
