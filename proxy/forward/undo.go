package forward

import (
	"bytes"
	"net/netip"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Undo takes back in responses what was rewritten in the request: what an endpoint says of
// itself becomes what the client may ask for.
type Undo struct {
	// Location is for the field of that name, Cookies for Set-Cookie.
	Location, Cookies bool
	// From is how the path of requests began, and To what took its place; both are "" for
	// paths that can't be taken back.
	From, To string
}

// apply changes the head of a response to an exchange. a is the attempt that has it.
func (u *Undo) apply(r *message.Head, x *filter.Exchange, a *hop.Attempt) {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Removed {
			continue
		}
		name, value := r.Bytes(f.Name), r.Bytes(f.Value)
		var to []byte
		switch {
		case u.Location && message.EqualFold(name, "location"):
			to = u.location(value, x, a)
		case u.Cookies && message.EqualFold(name, "set-cookie"):
			to = u.cookie(value, x, a)
		default:
			continue
		}
		if !bytes.Equal(to, value) {
			f.Value = r.OwnBytes(to)
		}
	}
}

// location is where the client is sent. One that leads to somebody else stays, and so does
// one that is relative to the path.
func (u *Undo) location(value []byte, x *filter.Exchange, a *hop.Attempt) []byte {
	scheme, rest, absolute := bytes.Cut(value, []byte("://"))
	switch {
	case absolute && (message.EqualFold(scheme, "http") || message.EqualFold(scheme, "https")):
	case bytes.HasPrefix(value, []byte("//")):
		scheme, rest = []byte(a.Scheme), value[2:]
	case bytes.HasPrefix(value, []byte("/")):
		return u.path(value)
	default:
		return value
	}
	n := bytes.IndexAny(rest, "/?#")
	if n < 0 {
		n = len(rest)
	}
	if !asked(rest[:n], string(bytes.ToLower(scheme)), x.Hop, a) {
		return value
	}
	path := rest[n:]
	if len(path) == 0 || path[0] != '/' {
		path = append([]byte("/"), path...)
	}
	host := clientHost(x)
	if len(host) == 0 {
		return u.path(path)
	}
	to := append(append([]byte(x.Hop.Scheme), "://"...), host...)
	return append(to, u.path(path)...)
}

// clientHost is the host that the client has asked for, or that it would have if it had
// followed the redirects itself.
func clientHost(x *filter.Exchange) []byte {
	if x.Followed > 0 {
		return x.Led
	}
	return x.Hop.Bytes(x.Hop.Host)
}

// asked reports whether an authority is the endpoint's: its address, or the host that it
// was asked for.
func asked(authority []byte, scheme string, h *hop.Hop, a *hop.Attempt) bool {
	return message.SameAuthority(authority, h.Bytes(a.Host), scheme) || message.SameAuthority(authority, a.Endpoint, scheme)
}

// path takes back the rewriting of a path, which may have a query behind it.
func (u *Undo) path(path []byte) []byte {
	rest, ok := bytes.CutPrefix(path, []byte(u.To))
	if !ok || u.To == "" || u.To[len(u.To)-1] != '/' && len(rest) > 0 && !bytes.ContainsRune([]byte("/?#"), rune(rest[0])) {
		return path
	}
	if to := append([]byte(u.From), rest...); len(to) > 0 && to[0] == '/' {
		return to
	}
	return append([]byte("/"), rest...)
}

// cookie changes the attributes Domain and Path (RFC 6265 section 4.1). A cookie whose name
// begins with __Host- has no domain, and a path that is prescribed.
func (u *Undo) cookie(value []byte, x *filter.Exchange, a *hop.Attempt) []byte {
	if len(value) >= 7 && message.EqualFold(value[:7], "__Host-") {
		return value
	}
	var to []byte
	for n := 0; len(value) > 0 || n == 0; n++ {
		part, rest, _ := bytes.Cut(value, []byte(";"))
		value = rest
		name, text, _ := bytes.Cut(part, []byte("="))
		name, text = bytes.TrimSpace(name), bytes.TrimSpace(text)
		switch {
		case n == 0: // the cookie itself
		case message.EqualFold(name, "domain") && ownDomain(text, x.Hop, a):
			host := message.Hostname(clientHost(x))
			if _, err := netip.ParseAddr(string(host)); err == nil || !bytes.Contains(host, []byte(".")) {
				continue // without a domain it is the host's that set it
			}
			part = append([]byte(" Domain="), host...)
		case message.EqualFold(name, "path") && len(text) > 0:
			part = append([]byte(" Path="), u.path(text)...)
		}
		if n > 0 {
			to = append(to, ';')
		}
		to = append(to, part...)
	}
	return to
}

// ownDomain reports whether a domain is that of the host that the endpoint was asked for.
func ownDomain(domain []byte, h *hop.Hop, a *hop.Attempt) bool {
	domain = bytes.TrimPrefix(domain, []byte("."))
	return message.EqualFold(domain, message.Hostname(h.Bytes(a.Host))) || message.EqualFold(domain, message.Hostname(a.Endpoint))
}
