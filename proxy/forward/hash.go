package forward

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/message"
)

// HashOn is a part of a request that picks its endpoint.
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

// choose prepares the choice of an endpoint: its hash and its subset.
func (d *delivery) choose() {
	p := &d.x.Pick
	p.Tried, p.Hash, p.Hashed = p.Tried[:0], 0, false
	p.Subset = d.target.Subset
	for i := range d.target.Hash {
		on := &d.target.Hash[i]
		hash, ok := on.of(d)
		if !ok {
			continue
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

// of is the hash of the request's part; false where it has none.
func (on *HashOn) of(d *delivery) (uint64, bool) {
	x := d.x
	r := &x.Request
	var part []byte
	ok := true
	switch {
	case on.Header != "":
		part, ok = r.Lookup(on.Header)
	case on.Cookie != "":
		if part, ok = r.CookieValue(on.Cookie); !ok {
			d.setCookie, d.cookie = on, strconv.FormatUint(rand.Uint64(), 16)
			part, ok = []byte(d.cookie), true
		}
	case on.Query != "":
		part, ok = r.QueryValue(on.Query)
	case on.Source:
		return balance.HashString(x.Hop.Client), true
	case on.Path:
		part = r.Path()
	}
	return balance.Hash(part), ok
}

// giveCookie sends the client a cookie that keeps it at the chosen endpoint.
func (d *delivery) giveCookie(r *message.Head) {
	on := d.setCookie
	if on == nil {
		return
	}
	b := append(append(append(r.BeginField("set-cookie"), on.Cookie...), '='), d.cookie...)
	if on.CookieTTL > 0 {
		b = strconv.AppendInt(append(b, "; Max-Age="...), int64(on.CookieTTL/time.Second), 10)
	}
	b = append(append(b, "; Path="...), on.CookiePath...)
	r.EndField(message.Unknown, append(b, "; HttpOnly"...))
}
