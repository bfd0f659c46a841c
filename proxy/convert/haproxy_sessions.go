package convert

import (
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// session gives a route the cookie of its backend.
func (h *haproxy) session(l *config.Listener, b *haSection, r *config.Route) {
	if b.cookie.n == 0 {
		return
	}
	c := config.NewStatefulSession(b.cookie.word(1))
	if !h.sessionCookie(b, c.Cookie) {
		return
	}
	own := *r
	own.StatefulSession = c
	if err := h.fits(l, own); err != nil {
		h.left(b.cookie.n, b.cookie.text, "%v", err)
		return
	}
	*r = own
}

// sessionCookie reads a cookie line; false if it keeps nobody at a server.
func (h *haproxy) sessionCookie(b *haSection, c *config.SessionCookie) bool {
	l, servers := b.cookie, h.servers(b)
	words := l.from(2)
	if !slices.Contains(words, "insert") {
		h.left(l.n, l.text, "only cookies that are inserted can be said")
		return false
	}
	named := func(v server) bool { return v.has("cookie") || slices.Contains(words, "dynamic") }
	if !slices.ContainsFunc(servers, named) {
		h.left(l.n, l.text, "no server has a cookie, so it keeps nobody at one")
		return false
	}
	for _, v := range servers {
		if !named(v) {
			h.differs(v.n, v.text, "it has no cookie, but clients stay at it all the same")
		}
	}
	h.differs(l.n, l.text, "the cookie's value is hopscope's own: who comes with one of HAProxy's is balanced anew, once")
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "insert", "dynamic", "httponly":
		case "indirect":
			h.differs(l.n, l.text, "indirect: the server gets the cookie as well")
		case "maxlife":
			i++
			d, err := haDuration(l.word(i + 2))
			if c.TTL = d; err != nil {
				h.left(l.n, l.text, "maxlife: %v", err)
				continue
			}
			h.differs(l.n, l.text, "maxlife: the client forgets the cookie after this time; the proxy does not check it")
		case "domain", "maxidle", "attr":
			h.left(l.n, l.text, "%s: the cookie has HttpOnly, and no other attributes but Path and Max-Age", words[i])
			i++
		case "secure":
			h.left(l.n, l.text, "secure: the cookie has HttpOnly, and no other attributes but Path and Max-Age")
		case "nocache":
			h.left(l.n, l.text, "nocache: set cache-control in response_headers of the route if a cache stands in front")
		default:
			h.left(l.n, l.text, "%s: hopscope's cookies have no such option", words[i])
		}
	}
	return true
}

// sticks converts what keeps clients at a server by a table: a hash keeps them as well.
func (h *haproxy) sticks(s *haSection) (hashes []config.HashOn) {
	for _, l := range s.sticks {
		on, err := stickOn(l)
		if err != nil {
			h.left(l.n, l.text, "%v", err)
			continue
		}
		was := ""
		if s.balance.n > 0 {
			was = ", in place of " + s.balance.text
		}
		h.differs(l.n, l.text, "a hash finds the server, not a table%s: a client stays there as long as the servers are the same", was)
		hashes = append(hashes, on)
	}
	if l := s.table; l.n > 0 {
		switch {
		case slices.Contains(l.words, "store"):
			h.left(l.n, l.text, "hopscope counts nothing by client")
		case len(hashes) == 0:
			h.left(l.n, l.text, "hopscope has no stick tables")
		default:
			h.differs(l.n, l.text, "a hash is in its place, of which nothing expires")
		}
	}
	for i := range hashes {
		hashes[i].Terminal = i < len(hashes)-1
	}
	return hashes
}

// stickOn reads what a client is known by.
func stickOn(l haLine) (on config.HashOn, err error) {
	on = config.NewHashOn()
	if l.word(1) != "on" || len(l.words) != 3 {
		return on, errorf("only stick on, without a condition and another table, can be said")
	}
	what, argument, _ := strings.Cut(strings.TrimSuffix(l.word(2), ")"), "(")
	switch what {
	case "src":
		on.Source = true
	case "hdr", "req.hdr", "req.fhdr":
		on.Header = argument
	case "url_param", "urlp":
		on.Query = argument
	case "cook", "req.cook":
		return on, errorf("who has no such cookie would be given one: see stateful_session of a route")
	default:
		return on, errorf("a client is known by its address, a field or a parameter")
	}
	if what != "src" && (argument == "" || strings.ContainsAny(argument, ",(")) {
		return on, errorf("only a field or a parameter as a whole can be said")
	}
	return on, nil
}
