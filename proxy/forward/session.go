package forward

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// Session keeps clients at their endpoint by a cookie that names it.
type Session struct {
	Cookie, Path string
	// TTL is how long clients keep the cookie; 0 is until they are closed.
	TTL time.Duration
	// Strict fails where the endpoint that the cookie names can't be had.
	Strict bool
}

// endpoint is the one that the request's cookie names, nil where that leaves the choice to
// the cluster.
func (s *Session) endpoint(c *cluster.Cluster, r *message.Head, p *balance.Request) (*cluster.Endpoint, error) {
	value, ok := r.CookieValue(s.Cookie)
	if !ok || len(p.Tried) > 0 && !s.Strict {
		return nil, nil
	}
	if token, err := strconv.ParseUint(string(value), 16, 64); err == nil {
		if e := c.ByToken(token, p); e != nil {
			return e, nil
		}
	}
	if s.Strict {
		return nil, fault.New(fault.NoHealthy, fmt.Sprintf("the endpoint that the cookie %s names is not in cluster %s, or not well, and stateful_session.strict lets no other take the request", s.Cookie, c.Name))
	}
	return nil, nil
}

// give gives the client the cookie of the endpoint that answered, unless it has it.
func (s *Session) give(e *cluster.Endpoint, request, response *message.Head) {
	var digits [16]byte
	token := appendToken(digits[:0], e.Token)
	if value, ok := request.CookieValue(s.Cookie); ok && string(value) == string(token) {
		return
	}
	b := append(append(append(response.BeginField("set-cookie"), s.Cookie...), '='), token...)
	if s.TTL > 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), max(int64(s.TTL/time.Second), 1), 10)
	}
	b = append(append(b, "; Path="...), s.Path...)
	response.EndField(message.Unknown, append(b, "; HttpOnly"...))
}

// appendToken appends the 16 digits of a token.
func appendToken(b []byte, token uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[token>>shift&15])
	}
	return b
}
