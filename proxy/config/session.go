package config

import "time"

// StatefulSession keeps a client at the endpoint that it was first sent to, by a cookie that
// names the endpoint: 16 hexadecimal digits that are made of its address, so that the
// client does not learn that, and that are the same for all proxies. Who has no cookie, or
// one of an endpoint that is gone or not well, is balanced as usual, and gets a new one.
type StatefulSession struct {
	// Cookie is the cookie.
	Cookie SessionCookie `yaml:"cookie"`
	// Strict answers with 503 (UH) in place of choosing another endpoint, where the cookie
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

// NewStatefulSession returns a session with every default in place.
func NewStatefulSession(cookie string) *StatefulSession {
	s := withDefaults[StatefulSession]()
	s.Cookie.Name = cookie
	return &s
}
