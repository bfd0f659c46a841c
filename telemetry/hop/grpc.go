package hop

import (
	"bytes"
	"fmt"
)

// GRPCStatus is the status of a gRPC call: its code plus one. Zero means that there is
// none.
type GRPCStatus uint8

// grpcNames are the codes' names in gRPC's documentation.
var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
	"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// Unimplemented is the status of a method that does not exist.
const Unimplemented GRPCStatus = 12 + 1

// GRPCStatusOf returns the status for a code. An unknown code becomes UNKNOWN, as in
// gRPC's clients.
func GRPCStatusOf(code int) GRPCStatus {
	if code < 0 || code >= len(grpcNames) {
		code = 2
	}
	return GRPCStatus(code + 1)
}

// Code returns the code, 0 to 16; -1 if there is no status.
func (s GRPCStatus) Code() int { return int(s) - 1 }

// String returns the code's name, such as "UNAVAILABLE"; "" if there is none.
func (s GRPCStatus) String() string {
	if s == 0 {
		return ""
	}
	return grpcNames[s-1]
}

// Describe returns the name and the code, such as "UNAVAILABLE (14)"; "" if there is
// none.
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

// GRPCReason says how a gRPC call ended, such as "UNAVAILABLE (14): no backend"; "" if it
// has no status.
func (h *Hop) GRPCReason() string {
	s := h.GRPCStatus.Describe()
	if s != "" && h.GRPCMessage.Len() > 0 {
		s += ": " + h.String(h.GRPCMessage)
	}
	return s
}

// RPC splits the path of a gRPC call, "/package.Service/Method". ok is false if the path
// does not have that form. The service may contain slashes, if it is served under a
// prefix.
func RPC(path []byte) (service, method []byte, ok bool) {
	last := bytes.LastIndexByte(path, '/')
	if last < 2 || last == len(path)-1 || path[0] != '/' {
		return nil, nil, false
	}
	return path[1:last], path[last+1:], true
}
