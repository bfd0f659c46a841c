package forward

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// destination is where a request goes, as the attempts need to know it.
type destination struct {
	route *Route
	// fixed is the endpoint that the request itself named, nil where the
	// cluster picks one.
	fixed *upstream.Endpoint
	// timeout is the time for the whole response, retries included; 0 is none.
	timeout time.Duration
	// until is when it is over, from the start of the Hop; 0 is never, or not
	// known before the request's content has ended.
	until time.Duration
	// expires is when the caller's own timeout is over, from the start of the
	// Hop; 0 is never.
	expires time.Duration
	// retry is what may follow an attempt that failed.
	retry retryPlan
	// told is true where the caller said how long the request may take.
	told bool
	// setCookie is the cookie that the client is to be given, nil for none, and
	// cookie its value.
	setCookie *HashOn
	cookie    string
	// nameless is true where the request names no host, and the route none for it.
	nameless bool
	// context is that of the race that an attempt is a part of: it ends when the
	// attempt is not wanted any more. nil is for one that is alone.
	context context.Context
}

// lost reports whether the attempt is not wanted any more.
func (d *destination) lost() bool { return d.context != nil && d.context.Err() != nil }

// route is the last handler: it finds where the request goes, and takes it
// there.
func (f *Forwarder) route(x *filter.Exchange) error {
	h, r := x.Hop, &x.Request
	if route := f.match(r); route != nil {
		d := destination{route: route}
		h.Labels = route.Labels
		h.Routed = now(h)
		if route.Cluster == nil {
			return fault.New(fault.Forbidden, fmt.Sprintf("route %s of listener %s is closed: a tag of its service asks for what is not done here; see the log", h.Labels.Route, h.Labels.Listener))
		}
		if route.Strip != "" || route.Prepend != "" {
			route.rewrite(r)
		}
		return f.send(x, &d)
	}
	if why := f.unknown(r); why != "" {
		return fault.New(fault.Undiscovered, why)
	}
	if f.Egress != nil {
		return f.egress(x)
	}
	if r.Method == message.CONNECT {
		return fault.New(fault.NotFound, "CONNECT is for forward proxies, and this listener is none")
	}
	return fault.New(fault.NotFound, fmt.Sprintf("no route of listener %s matches host %q and path %q", h.Labels.Listener, clip(r.Host()), clip(r.Path())))
}

// match finds a request's route, nil for none: those of the configuration come
// before those of a catalogue.
func (f *Forwarder) match(r *message.Head) *Route {
	if r.Method == message.CONNECT {
		return nil
	}
	if i := f.Table.Match(r); i >= 0 {
		return &f.Routes[i]
	}
	if f.Catalog == nil {
		return nil
	}
	if c := f.Catalog.Load(); c != nil && c.Unknown == "" {
		if i := c.Table.Match(r); i >= 0 {
			return &c.Routes[i]
		}
	}
	return nil
}

// unknown is why it is not known whether there is a route for a request, "" if it is
// known that there is none. A forward proxy takes hosts that may be anybody's to them.
func (f *Forwarder) unknown(r *message.Head) string {
	if f.Catalog == nil || r.Method == message.CONNECT {
		return ""
	}
	c := f.Catalog.Load()
	if c == nil || c.Unknown == "" || f.Egress != nil && !c.Names(hostOf(r)) {
		return ""
	}
	return c.Unknown
}

// hostOf is the request's host without its port, in lower case.
func hostOf(r *message.Head) string {
	host := r.Host()
	if i := bytes.LastIndexByte(host, ':'); i > bytes.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return string(bytes.ToLower(host))
}

// rewrite gives the request the path that the endpoint is to see, and keeps the
// one that it had, as Envoy does.
func (route *Route) rewrite(r *message.Head) {
	path := r.Path()
	rest, stripped := bytes.CutPrefix(path, []byte(route.Strip))
	if route.Strip == "" || !stripped {
		rest = path
	}
	var to []byte
	to = append(append(to, route.Prepend...), rest...)
	if len(to) == 0 || to[0] != '/' {
		to = append([]byte{'/'}, to...)
	}
	if bytes.Equal(to, path) {
		return
	}
	r.RemoveName([]byte(originalPath))
	r.AddSpan(message.Unknown, originalPath, r.OwnBytes(r.OriginTarget()))
	r.SetPath(to)
}

const originalPath = "x-envoy-original-path"

// clip keeps what a client sent to a length that is fit for a message.
func clip(b []byte) []byte {
	const most = 100
	if len(b) > most {
		return b[:most]
	}
	return b
}
