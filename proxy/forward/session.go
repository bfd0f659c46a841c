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

// Session keeps clients at their endpoint by a token that names it, in a cookie or a field.
type Session struct {
	// Cookie is the cookie, with its path and how long clients keep it; TTL 0 is until they
	// are closed.
	Cookie, Path string
	TTL          time.Duration
	// Header is the field, in lower case, in the place of a cookie; "" is none.
	Header string
	// Strict fails where the endpoint that the token names can't be had.
	Strict bool
}

// shown is the token that the request has, if it has one.
func (s *Session) shown(r *message.Head) ([]byte, bool) {
	if s.Header != "" {
		return r.Lookup(s.Header)
	}
	return r.CookieValue(s.Cookie)
}

// endpoint is the one that the request names, nil where that leaves the choice to the cluster.
func (s *Session) endpoint(c *cluster.Cluster, r *message.Head, p *balance.Request) (*cluster.Endpoint, error) {
	value, ok := s.shown(r)
	if !ok || len(p.Tried) > 0 && !s.Strict {
		return nil, nil
	}
	if token, err := strconv.ParseUint(string(value), 16, 64); err == nil {
		if e := c.ByToken(token, p); e != nil {
			return e, nil
		}
	}
	if !s.Strict {
		return nil, nil
	}
	by := "cookie " + s.Cookie
	if s.Header != "" {
		by = "field " + s.Header
	}
	return nil, fault.New(fault.NoHealthy, fmt.Sprintf("the endpoint that the %s names is not in cluster %s, or not well, and stateful_session.strict lets no other take the request", by, c.Name))
}

// give gives the client the token of the endpoint that answered, unless it has it.
func (s *Session) give(e *cluster.Endpoint, request, response *message.Head) {
	var digits [16]byte
	token := appendToken(digits[:0], e.Token)
	if value, ok := s.shown(request); ok && string(value) == string(token) {
		return
	}
	if s.Header != "" {
		if _, ok := response.Lookup(s.Header); ok { // the endpoint's own
			response.RemoveName([]byte(s.Header))
		}
		response.EndField(message.FieldByName([]byte(s.Header)), append(response.BeginField(s.Header), token...))
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
