package transcode

import (
	"net/http"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// The gRPC codes that the filter itself uses.
const (
	codeUnknown         = 2
	codeInvalidArgument = 3
	codeNotFound        = 5
)

// statuses are the HTTP statuses that google.rpc.Code lists for its codes.
var statuses = [...]int{
	http.StatusOK,
	499, // CANCELLED: the client closed the request
	http.StatusInternalServerError,
	http.StatusBadRequest,
	http.StatusGatewayTimeout,
	http.StatusNotFound,
	http.StatusConflict,
	http.StatusForbidden,
	http.StatusTooManyRequests,
	http.StatusBadRequest,
	http.StatusConflict,
	http.StatusBadRequest,
	http.StatusNotImplemented,
	http.StatusInternalServerError,
	http.StatusServiceUnavailable,
	http.StatusInternalServerError,
	http.StatusUnauthorized,
}

// httpStatus is the HTTP status that stands for a gRPC status.
func httpStatus(s hop.GRPCStatus) int {
	if code := s.Code(); code >= 0 && code < len(statuses) {
		return statuses[code]
	}
	return http.StatusInternalServerError
}
