package shed

import (
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// Answer says how requests are shed.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// RetryAfter is after how long a client may try again; 0 does not tell.
	RetryAfter time.Duration
}

// To is the answer to one request, which fails for a reason of the kind. call says that it
// is a gRPC call. Envoy's x-envoy-overloaded is there, as for a circuit breaker, so that
// callers can tell a limit from a failure.
func (a Answer) To(kind fault.Kind, reason string, call bool) *fault.Answer {
	answer := &fault.Answer{
		Why: fault.New(kind, reason), Status: a.Status,
		Fields: []fault.Field{{Name: "x-envoy-overloaded", Value: "true"}},
	}
	if a.RetryAfter > 0 {
		// RFC 9110 section 10.2.3 has whole seconds, and 0 would be at once.
		seconds := max((a.RetryAfter+time.Second-1)/time.Second, 1)
		answer.Fields = append(answer.Fields, fault.Field{Name: "retry-after", Value: strconv.FormatInt(int64(seconds), 10)})
		if call { // what clients of gRPC heed, by gRFC A6
			ms := max(a.RetryAfter.Milliseconds(), 1)
			answer.Fields = append(answer.Fields, fault.Field{Name: "grpc-retry-pushback-ms", Value: strconv.FormatInt(ms, 10)})
		}
	}
	return answer
}
