package main

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Methods of the gRPC backend; it knows no others by name and echoes for all.
const (
	echoMethod = "/bench.Backend/Echo" // answers with the request's message
	seenMethod = "/bench.Backend/Seen" // answers with what the proxy added to the request
)

// echo is the gRPC backend. It counts the calls that it answered: under load, a call
// that fails looks to h2load like any other, for its HTTP status is 200 as well.
type echo struct {
	calls atomic.Int64
}

// serve answers one unary call.
func (e *echo) serve(_ any, call grpc.ServerStream) error {
	var message []byte
	if err := call.RecvMsg(&message); err != nil {
		return err
	}
	if method, _ := grpc.MethodFromServerStream(call); method == seenMethod {
		message = []byte(seenIn(call))
	}
	if err := call.SendMsg(&message); err != nil {
		return err
	}
	e.calls.Add(1)
	return nil
}

// seenIn returns the trace context and the request id of a call, as backend.conf does.
func seenIn(call grpc.ServerStream) string {
	fields, _ := metadata.FromIncomingContext(call.Context())
	first := func(name string) string {
		if values := fields.Get(name); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	return first("traceparent") + " " + first("x-request-id")
}

// frame is a gRPC message on the wire: not compressed, its length, its bytes.
func frame(message []byte) []byte {
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(framed, message...)
}

// unframe is the message of the one frame that body must be.
func unframe(body []byte) ([]byte, error) {
	if len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
		return nil, errors.New("the answer is not one gRPC message")
	}
	return body[5:], nil
}
