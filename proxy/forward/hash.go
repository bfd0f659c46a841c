package forward

import (
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// HashOn is a part of a request that picks its endpoint, or its target.
type HashOn struct {
	// One of these says which part.
	Header, Cookie, Query string
	Source, Path          bool
	// CookieTTL and CookiePath are those of a cookie that is made where the
	// request has none.
	CookieTTL  time.Duration
	CookiePath string
	// Terminal ends the list where the request has this part.
	Terminal bool
}

// given is a cookie that a client is to be given, with its random value; on is nil for
// none.
type given struct {
	on    *HashOn
	value uint64
}

// choose prepares the choice of an endpoint: its hash and its subset.
func (d *delivery) choose() {
	p := &d.x.Pick
	p.Tried, p.Hash, p.Hashed = p.Tried[:0], 0, false
	p.Subset = d.target.Subset
	for i := range d.target.Hash {
		on := &d.target.Hash[i]
		hash, cookie, ok := on.of(d.x)
		if !ok {
			continue
		}
		if cookie.on != nil {
			d.cookie = cookie
		}
		if p.Hashed {
			hash = balance.Combine(p.Hash, hash)
		}
		p.Hash, p.Hashed = hash, true
		if on.Terminal {
			break
		}
	}
}

// of is the hash of the request's part; false where it has none. If the request lacks a
// cookie, its hash is that of one that the client is to be given.
func (on *HashOn) of(x *filter.Exchange) (hash uint64, cookie given, ok bool) {
	r := &x.Request
	var part []byte
	ok = true
	switch {
	case on.Header != "":
		part, ok = r.Lookup(on.Header)
	case on.Cookie != "":
		if part, ok = r.CookieValue(on.Cookie); !ok {
			cookie, ok = given{on, x.Random()}, true
			var text [16]byte
			return balance.Hash(cookie.append(text[:0])), cookie, true
		}
	case on.Query != "":
		part, ok = r.QueryValue(on.Query)
	case on.Source:
		return balance.HashString(x.Hop.Client), given{}, true
	case on.Path:
		part = r.Path()
	}
	return balance.Hash(part), given{}, ok
}

// append appends the value.
func (g given) append(b []byte) []byte { return strconv.AppendUint(b, g.value, 16) }

// give has a response set the cookie.
func (g given) give(r *message.Head) {
	on := g.on
	if on == nil {
		return
	}
	b := g.append(append(append(r.BeginField("set-cookie"), on.Cookie...), '='))
	if on.CookieTTL > 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), int64(on.CookieTTL/time.Second), 10)
	}
	b = append(append(b, "; Path="...), on.CookiePath...)
	r.EndField(message.Unknown, append(b, "; HttpOnly"...))
}
