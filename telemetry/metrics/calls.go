package metrics

import (
	"bytes"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxMethods limits the gRPC methods of a service that are told apart.
const maxMethods = 100

// rpcMethod is a gRPC method, with a cell for each way in which calls of it ended.
type rpcMethod struct {
	service, method string
	cells           []callCell
}

// callCell has the duration of the calls that ended in one way.
type callCell struct {
	status    hop.GRPCStatus
	errorType string
	duration  *histogram
}

// call returns the histogram for a gRPC call.
func (m *Metrics) call(s *series, h *hop.Hop) *histogram {
	method := m.method(s, h)
	errorType := h.ErrorType()
	for i := range method.cells {
		if c := &method.cells[i]; c.status == h.GRPCStatus && c.errorType == errorType {
			return c.duration
		}
	}
	family := m.families.rpcServer
	if s.direction.Calls() {
		family = m.families.rpcClient
	}
	code := ""
	if h.GRPCStatus != 0 {
		code = strconv.Itoa(h.GRPCStatus.Code())
	}
	c := callCell{h.GRPCStatus, errorType, family.histogram(m.native, s.service, s.cluster, method.service, method.method, code, errorType)}
	method.cells = append(method.cells, c)
	return c.duration
}

// method returns the method that h calls, or the one that stands for all others: a client
// can invent names, so only those count that an endpoint has shown to have.
func (m *Metrics) method(s *series, h *hop.Hop) *rpcMethod {
	if path := h.Bytes(h.Path); len(path) > 0 {
		if known := s.methods[string(path[1:])]; known != nil {
			return known
		}
	}
	if name := h.CallName(); name != nil && m.learn(s.service, name, implemented(h)) {
		i := bytes.LastIndexByte(name, '/')
		return s.method(string(name), string(name[:i]), string(name[i+1:]))
	}
	return s.method(other, other, other)
}

// method returns the method of a name, and makes it if it has to.
func (s *series) method(name, service, method string) *rpcMethod {
	known := s.methods[name]
	if known == nil {
		if s.methods == nil {
			s.methods = map[string]*rpcMethod{}
		}
		known = &rpcMethod{service: service, method: method}
		s.methods[name] = known
	}
	return known
}

// learn reports whether a method is one of those that a service's calls are told apart by.
// exists says that an endpoint has it.
func (m *Metrics) learn(service string, name []byte, exists bool) bool {
	n := m.methods[service]
	if n != nil {
		if _, known := n.known[string(name)]; known {
			return true
		}
	}
	if !exists {
		return false
	}
	if n == nil {
		n = newNames(maxMethods)
		m.methods[service] = n
	}
	return n.bound(string(name)) != other
}

// implemented reports whether the endpoint answered with gRPC (HTTP status 200), and not
// that it lacks the method. UNKNOWN without a message stands for an answer that was not
// gRPC.
func implemented(h *hop.Hop) bool {
	const unknown = 2
	a := h.LastAttempt()
	if a == nil || a.Status != 200 || a.GRPCStatus == 0 {
		return false
	}
	return a.GRPCStatus != hop.Unimplemented && (a.GRPCStatus.Code() != unknown || h.GRPCMessage.Len() > 0)
}
