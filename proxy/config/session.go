package config

import (
	"strings"
	"time"
)

// StatefulSession keeps a client at the endpoint that it was first sent to, by a token that
// the client is given and sends back, in a cookie or in a field: one of "cookie" and "header".
// The token is 16 hexadecimal digits, a hash of the endpoint's address. It is the same for
// all proxies. It does not tell the address, but nothing secret goes into it: who can guess
// the address can tell that it is the one. Who has no token, or one of an endpoint that is
// gone or not well, is balanced as usual, and gets a new one.
type StatefulSession struct {
	// Cookie has the token in a cookie.
	Cookie *SessionCookie `yaml:"cookie"`
	// Header has it in a field of responses, which the client copies to its next requests.
	Header *SessionHeader `yaml:"header"`
	// Strict answers with 503 (UH) in place of choosing another endpoint, where the token
	// names one that is gone or not well.
	Strict bool `yaml:"strict" default:"false"`
}

// SessionCookie is the cookie of a session.
type SessionCookie struct {
	// Name is its name.
	Name string `yaml:"name" required:"true" format:"field"`
	// Path is the path that clients send it for.
	Path string `yaml:"path" default:"/" format:"path"`
	// TTL is how long clients keep it; 0 is until they are closed.
	TTL time.Duration `yaml:"ttl" default:"0s" min:"0"`
}

// SessionHeader is the field of a session. A response has it if the request had another token,
// or none; of gRPC calls it is in the initial metadata.
type SessionHeader struct {
	// Name is its name, such as x-session.
	Name string `yaml:"name" required:"true" format:"field"`
}

// session checks how a session is told.
func (v validator) session(p *place, s *StatefulSession) {
	if s == nil {
		return
	}
	v.oneOf(p, choice{"cookie", s.Cookie != nil}, choice{"header", s.Header != nil})
	if s.Header == nil {
		return
	}
	at := p.key("header").key("name")
	if err := checkOwnField(s.Header.Name); err != nil {
		v.errs.add(at, "%q can't have the token of a session: %v", clip(s.Header.Name), err)
	} else if name := strings.ToLower(s.Header.Name); name == "cookie" || name == "set-cookie" || name == "host" {
		v.errs.add(at, "%q can't have the token of a session: it has a meaning of its own; for a cookie, write cookie: {name: ...}", clip(s.Header.Name))
	}
}

// NewStatefulSession returns a session by a cookie with every default in place.
func NewStatefulSession(cookie string) *StatefulSession {
	s := withDefaults[StatefulSession]()
	s.Cookie = new(withDefaults[SessionCookie]())
	s.Cookie.Name = cookie
	return &s
}

// NewHeaderSession returns a session by a field with every default in place.
func NewHeaderSession(name string) *StatefulSession {
	s := withDefaults[StatefulSession]()
	s.Header = &SessionHeader{Name: name}
	return &s
}
