package forward

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hopscope/hopscope/discovery/strictyaml"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Route finds the route that the request matches, and has it served by that: a
// [filter.Router]. It does so again where that leads to another request: see [Follow].
func (f *Forwarder) Route(x *filter.Exchange) error {
	body, writer := x.Body, x.Writer
	for {
		err := f.serve(x)
		if err == nil {
			return nil
		}
		o, ok := errors.AsType[*onward](err)
		if !ok {
			return err
		}
		o.goOn(x, body, writer)
	}
}

// serve has the request served by the route that it matches.
func (f *Forwarder) serve(x *filter.Exchange) error {
	if err := f.normalize(x); err != nil {
		f.sample(x, nil)
		return err
	}
	found := f.match(x)
	if found == nil {
		x.Route, x.Hop.Labels, x.Changes = nil, f.Labels, [2]*header.Changes{}
		f.sample(x, nil)
		return f.unmatched(x)
	}
	x.Route, x.Hop.Labels, x.Changes = found, found.Labels, [2]*header.Changes{found.Response}
	x.Idle = found.Idle
	f.sample(x, found.Sampler)
	if f.dry != nil {
		return f.dry.taken(x)
	}
	if found.Handler == nil {
		return found.Action.act(f, x)
	}
	return found.Handler(x)
}

// sample decides on a trace that begins with this request once its route is known, where
// that, or a limit of traces a second, makes a difference. A request that is not forwarded
// yet has told nobody of the decision that the ratio alone came to.
func (f *Forwarder) sample(x *filter.Exchange, s *tracecontext.Sampler) {
	if f.dry != nil {
		return // a limit counts
	}
	if s == nil {
		if s = &f.Sampler; !s.IsLimited() {
			return
		}
	}
	if h := x.Hop; x.Trace.Decision == tracecontext.Deferred {
		h.Sampled, h.Keep = s.Begin(h.Trace, h.Start)
	}
}

// Act does what the route does.
func (f *Forwarder) Act(x *filter.Exchange) error { return x.Route.(*Route).Action.act(f, x) }

// miss serves a request that no route matches.
func (f *Forwarder) miss(x *filter.Exchange) error {
	h, r := x.Hop, &x.Request
	if why := f.unknown(r); why != "" {
		return fault.New(fault.Undiscovered, why)
	}
	if f.Egress != nil {
		return f.egress(x)
	}
	if r.Method == message.CONNECT {
		return fault.New(fault.NotFound, "CONNECT is for forward proxies, and this listener is none")
	}
	return fault.New(fault.NotFound, fmt.Sprintf("no route of listener %s matches host %q and path %q%s", h.Labels.Listener, clip(r.Host()), clip(r.Path()), f.nearest(h)))
}

// mostHosts is among how many names the nearest is looked for.
const mostHosts = 200

// nearest names the host that a call of this service was most likely for, if a route has
// one. Clients of the service may ask for anything, and are told nothing.
func (f *Forwarder) nearest(h *hop.Hop) string {
	if h.Labels.Direction != hop.Outbound {
		return ""
	}
	hosts := f.Hosts
	if f.Catalog != nil {
		if c := f.Catalog.Load(); c != nil {
			hosts = slices.Concat(hosts, c.Hosts)
		}
	}
	asked := string(message.Hostname(h.Bytes(h.Host)))
	if near := strictyaml.Nearest(asked, hosts[:min(len(hosts), mostHosts)]); near != "" && near != asked {
		return "; the nearest name that has one is " + near
	}
	return ""
}

// match finds a request's route, nil for none. It is not inlined: what it needs of the stack is
// free again when the route is served.
//
//go:noinline
func (f *Forwarder) match(x *filter.Exchange) *Route {
	if f.dry != nil {
		return f.dry.match(f, x)
	}
	if x.Request.Method == message.CONNECT {
		return nil
	}
	q, catalog := route.Request{Head: &x.Request}, f.catalog()
	asks := f.Table.Asks()
	if catalog != nil {
		asks |= catalog.Table.Asks()
	}
	if asks != 0 {
		tell(&q, x, asks)
	}
	found, _, _ := f.find(&q, catalog)
	return found
}

// catalog is the catalog's routing, nil while none is known. Whoever asks it for a route has
// told the request what it asks for: another load may be of one that asks for more.
func (f *Forwarder) catalog() *Routing {
	if f.Catalog == nil {
		return nil
	}
	if c := f.Catalog.Load(); c != nil && c.Unknown == "" && c.Table != nil {
		return c
	}
	return nil
}

// find finds a request's route, nil for none, with the routing that has it, nil for that of
// the configuration, and its place there. The configuration's routes come before those of a
// catalog, which is nil if there is none.
func (f *Forwarder) find(q *route.Request, catalog *Routing) (found *Route, in *Routing, at int) {
	if at = f.Table.Match(q); at >= 0 {
		return &f.Routes[at], nil, at
	}
	if catalog != nil {
		if at = catalog.Table.Match(q); at >= 0 {
			return &catalog.Routes[at], catalog, at
		}
	}
	return nil, nil, -1
}

// tell tells tables what they ask for.
func tell(q *route.Request, x *filter.Exchange, asks route.Asks) {
	if asks&route.AsksClient != 0 {
		q.Client, _ = netip.ParseAddr(x.Hop.Client)
	}
	if asks&route.AsksCertificate != 0 {
		q.Certificate = x.Conn.Info().Certificate
	}
	if asks&route.AsksRandom != 0 {
		q.Random = x.Random()
	}
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

// hostOf is the name of the request's host, in lower case: see [message.Hostname].
func hostOf(r *message.Head) string {
	return message.LowerHost(string(message.Hostname(r.Host())))
}

// clip keeps what a client sent to a length that is fit for a message.
func clip(b []byte) []byte {
	const most = 100
	if len(b) > most {
		return b[:most]
	}
	return b
}
