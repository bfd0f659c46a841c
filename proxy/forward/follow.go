package forward

import (
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// Follow says which redirects of endpoints the proxy follows itself, in the place of the
// client, who gets what the last of them leads to. One that can't be followed goes to the
// client: because it leads to no route, say, or the request's content is not kept any more.
type Follow struct {
	// Most is how many are followed for one request, whatever routes they lead through.
	Most int
	// Statuses are those of the responses that are followed.
	Statuses []int
	// CrossScheme also follows those that lead from http to https, or back.
	CrossScheme bool
	// Copy are fields of the response that the next request gets.
	Copy []string

	followed, passed atomic.Uint64
}

// Counts are how many redirects were followed, and how many went to clients since they could
// not be.
func (f *Follow) Counts() (followed, passed uint64) { return f.followed.Load(), f.passed.Load() }

// onward is the request that follows from a redirect. It ends what the route does with the
// one before: an answer to the filters of that route, until [Forwarder.Route] goes on with it.
type onward struct {
	answer  fault.Answer
	head    message.Head
	content []byte
}

func (o *onward) Error() string { return "the request goes on where a redirect leads" }

// Unwrap returns the answer that it is to filters: the redirect.
func (o *onward) Unwrap() error { return &o.answer }

// goOn readies the exchange for the request. body and writer are those that the route's
// filters found.
func (o *onward) goOn(x *filter.Exchange, body filter.Body, writer filter.Writer) {
	x.Active.Leave()
	x.Followed++
	x.Request, x.Body, x.Writer = o.head, body, writer
	x.Led = x.Request.Host()
	x.Again(o.content)
}

// originalURL is the field that tells endpoints what the client asked for.
const originalURL = "x-envoy-original-url"

// follow returns the request that follows from the attempt's response, nil if that response
// goes to the client.
func (d *delivery) follow() *onward {
	p, x := d.action.Follow, d.x
	if p == nil || x.Response.Framing == message.Tunnel || !slices.Contains(p.Statuses, x.Response.Status) {
		return nil
	}
	to := d.location(p)
	if to == nil {
		p.passed.Add(1)
		return nil
	}
	o := &onward{answer: fault.Answer{Status: x.Response.Status}, head: *d.asked}
	r, kept := &o.head, true
	was, method := x.Hop.Scheme+"://"+string(r.Host())+string(r.OriginTarget()), r.Method
	if x.Response.Status == 303 && method != message.GET && method != message.HEAD { // RFC 9110 section 15.4.4
		method = message.GET
		r.DropContent()
	} else {
		o.content, kept = d.content.kept()
	}
	r.Redirect(method, to.Host, to.EscapedPath(), to.RawQuery)
	uninvite(r)
	if x.Followed == 0 { // else it has the first; a client's own counts for nothing
		keep(r, originalURL, []byte(was))
	}
	for _, name := range p.Copy {
		r.RemoveName([]byte(name))
		if value, ok := x.Response.Lookup(name); ok {
			r.Add(message.FieldByName([]byte(name)), name, string(value))
		}
	}
	if !kept || !d.f.leads(x, r) || !x.Hold(len(o.content)) {
		p.passed.Add(1)
		return nil
	}
	p.followed.Add(1)
	return o
}

// location is where a redirect leads, as the client would see it; nil if that is not
// followed.
func (d *delivery) location(p *Follow) *url.URL {
	x := d.x
	found := values(&x.Response, "location")
	if x.Followed >= p.Most || len(found) != 1 {
		return nil
	}
	to := found[0]
	if undo := d.action.Undo; undo != nil && undo.Location {
		to = undo.location(to, x, x.Hop.LastAttempt())
	}
	from, err := url.Parse(x.Hop.Scheme + "://" + string(d.asked.Host()) + string(d.asked.OriginTarget()))
	if err != nil {
		return nil
	}
	u, err := from.Parse(string(to))
	switch {
	case err != nil, u.User != nil, u.Opaque != "", u.Scheme != "http" && u.Scheme != "https",
		u.Scheme != x.Hop.Scheme && !p.CrossScheme,
		u.Host != from.Host && message.BadHost(u.Host) != "":
		return nil
	}
	return u
}

// mostImminent is how long to wait until content has been read that has arrived.
const mostImminent = 2 * time.Second

// kept is all of the content, if it has come and is kept. An endpoint may answer as soon as it
// has all of it, and the upload may not have read the end by then.
func (c content) kept() (all []byte, ok bool) {
	if c.from == nil {
		return c.here, true
	}
	wait := lookEvery
	if c.from.look() {
		wait = mostImminent
	}
	if c.from.complete() {
		select {
		case <-c.from.over:
		case <-time.After(wait):
		}
	}
	if _, ended := c.ended(); !ended || !c.from.ended() || !c.from.complete() {
		return nil, false
	}
	return c.from.kept, true
}

// leads reports whether a request has a route, and gives it the path that is matched.
func (f *Forwarder) leads(x *filter.Exchange, r *message.Head) bool {
	was := x.Request
	x.Request = *r
	defer func() { *r, x.Request = x.Request, was }()
	return f.normalize(x) == nil && f.match(x) != nil
}
