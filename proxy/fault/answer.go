package fault

import (
	"errors"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Answer is a response that the proxy makes itself: a refusal, a redirect, a fault
// that was asked for. Whoever makes one returns it as an error, and the forwarder
// writes it. What is left zero follows from Why.
type Answer struct {
	// Why is the failure that is answered; nil for an answer that is none, such as a
	// redirect.
	Why *Error
	// Status is the HTTP status; 0 is that of Why's kind. A gRPC client gets 200 and
	// GRPC in its place.
	Status int
	// Fields are added to the response. A content-type among them is that of Body.
	Fields []Field
	// Body is the content; nil is a short text about Why, or nothing where that is nil.
	Body []byte
	// GRPC is the status for a gRPC client; 0 is that of Why's kind, or of Status.
	GRPC hop.GRPCStatus
	// Flags are the response flags; 0 is that of Why's kind.
	Flags hop.Flags
	// Details is the machine-readable cause; "" is that of Why's kind, or
	// "direct_response".
	Details string
}

// Field is a field of an [Answer].
type Field struct{ Name, Value string }

// AnswerTo finds the Answer in err's chain, or makes one of the failure that err is.
// AnswerTo(nil) is nil.
func AnswerTo(err error) *Answer {
	if err == nil {
		return nil
	}
	if a, ok := errors.AsType[*Answer](err); ok {
		return a
	}
	return &Answer{Why: Of(err)}
}

func (a *Answer) Error() string {
	if a.Why != nil {
		return a.Why.Error()
	}
	return "the proxy answers " + strconv.Itoa(a.Status)
}

// Unwrap returns Why.
func (a *Answer) Unwrap() error {
	if a.Why == nil {
		return nil
	}
	return a.Why
}

// HTTPStatus is the status of the response; 0 means that there is nobody left to answer.
func (a *Answer) HTTPStatus() int {
	if a.Status == 0 && a.Why != nil {
		return a.Why.Kind.Status()
	}
	return a.Status
}

// Flag is the response flags; 0 is none.
func (a *Answer) Flag() hop.Flags {
	if a.Flags == 0 && a.Why != nil {
		return a.Why.Kind.Flag()
	}
	return a.Flags
}

// Detail is the machine-readable cause.
func (a *Answer) Detail() string {
	switch {
	case a.Details != "":
		return a.Details
	case a.Why != nil:
		return a.Why.Kind.Details()
	}
	return "direct_response"
}
