package forward

import (
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
	if i := f.match(r); i >= 0 {
		d := destination{route: &f.Routes[i]}
		h.Labels = d.route.Labels
		h.Routed = now(h)
		return f.send(x, &d)
	}
	if f.Egress != nil {
		return f.egress(x)
	}
	if r.Method == message.CONNECT {
		return fault.New(fault.NotFound, "CONNECT is for forward proxies, and this listener is none")
	}
	return fault.New(fault.NotFound, fmt.Sprintf("no route of listener %s matches host %q and path %q", h.Labels.Listener, clip(r.Host()), clip(r.Path())))
}

func (f *Forwarder) match(r *message.Head) int {
	if r.Method == message.CONNECT {
		return -1
	}
	return f.Table.Match(r)
}

// clip keeps what a client sent to a length that is fit for a message.
func clip(b []byte) []byte {
	const most = 100
	if len(b) > most {
		return b[:most]
	}
	return b
}
