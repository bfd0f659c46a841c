package cors

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// Options say which origins may do what.
type Options struct {
	// Origins are those that are allowed, such as https://example.com. "*" alone allows all.
	Origins []string
	// Patterns are expressions of which one has to match the whole origin.
	Patterns []*regexp.Regexp
	// Methods, Headers and Expose are what browsers are told; "" is nothing.
	Methods, Headers, Expose []string
	// MaxAge is how long a browser may remember the answer to a preflight; 0 tells nothing.
	MaxAge time.Duration
	// Credentials lets pages send cookies and the like.
	Credentials bool
}

// Fields of the CORS protocol.
const (
	origin           = "origin"
	allowOrigin      = "access-control-allow-origin"
	allowCredentials = "access-control-allow-credentials"
	allowMethods     = "access-control-allow-methods"
	allowHeaders     = "access-control-allow-headers"
	exposeHeaders    = "access-control-expose-headers"
	maxAge           = "access-control-max-age"
)

// policy is Options, ready for use.
type policy struct {
	Options
	all    bool   // every origin is allowed
	expose string // as a list
}

// New returns the filter.
func New(o Options) filter.Filter {
	p := &policy{Options: o, all: slices.Contains(o.Origins, "*"), expose: strings.Join(o.Expose, ", ")}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			value, crosses := x.Request.Lookup(origin)
			if !crosses && p.all {
				return next(x) // no response depends on the origin
			}
			from := ""
			if crosses {
				from = p.allowed(value)
			}
			if len(x.Request.Preflight()) > 0 {
				return p.preflight(from)
			}
			w := filter.Reuse[response](x)
			w.Writer, w.policy, w.crosses, w.from = x.Writer, p, crosses, from
			x.Writer = w
			return next(x)
		}
	}
}

// allowed is what an origin whose pages may read responses is told, "" for any other. The
// text is a copy, where it has to be: the head's bytes may be gone when the response comes.
func (p *policy) allowed(from []byte) string {
	if p.all {
		return "*"
	}
	for _, o := range p.Origins {
		if o == string(from) {
			return o
		}
	}
	for _, re := range p.Patterns {
		if re.Match(from) {
			return string(from)
		}
	}
	return ""
}

// preflight is the answer to a preflight. Where the origin is not allowed, from is empty,
// and the answer says nothing.
func (p *policy) preflight(from string) error {
	a := &fault.Answer{Status: 200, Details: "cors_response"} // Envoy's
	add := func(name, value string) {
		if value != "" {
			a.Fields = append(a.Fields, fault.Field{Name: name, Value: value})
		}
	}
	if !p.all {
		add("vary", origin)
	}
	if from == "" {
		return a
	}
	add(allowOrigin, from)
	if p.Credentials {
		add(allowCredentials, "true")
	}
	add(allowMethods, strings.Join(p.Methods, ", "))
	add(allowHeaders, strings.Join(p.Headers, ", "))
	if p.MaxAge > 0 {
		add(maxAge, strconv.FormatInt(int64(p.MaxAge/time.Second), 10))
	}
	return a
}

// response gives a response the fields of the protocol.
type response struct {
	filter.Writer
	*policy
	crosses bool   // the request has an origin
	from    string // what the origin is told, if it is allowed
}

// Head begins the response. What the endpoint itself says of origins goes: the route's
// policy decides.
func (w *response) Head(h *message.Head) error {
	if h.Framing == message.Tunnel {
		return w.Writer.Head(h)
	}
	if !w.all {
		h.Vary(origin)
	}
	if w.crosses {
		h.RemoveName([]byte(allowOrigin))
		h.RemoveName([]byte(allowCredentials))
	}
	if w.from != "" {
		h.Add(message.Unknown, allowOrigin, w.from)
		if w.Credentials {
			h.Add(message.Unknown, allowCredentials, "true")
		}
		if w.expose != "" {
			h.RemoveName([]byte(exposeHeaders))
			h.Add(message.Unknown, exposeHeaders, w.expose)
		}
	}
	return w.Writer.Head(h)
}
