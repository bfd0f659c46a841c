package snapshot

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/clientcert"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
	"github.com/hopscope/hopscope/proxy/filter/grpcweb"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// listening are the options of a listener.
func (g *generation) listening(lc *config.Listener, server *tlsconf.Server) listener.Options {
	o := listener.Options{
		Name: lc.Name, Address: lc.Address,
		HeadTimeout: lc.RequestHeadTimeout, IdleTimeout: lc.IdleTimeout, StreamIdle: lc.StreamIdleTimeout,
		MaxAge: lc.MaxConnectionAge, AgeGrace: lc.MaxConnectionAgeGrace,
		MaxConns: lc.MaxConnections, Budget: g.budget, AbortOnClose: abortOnClose(lc.AbortOnClose), Panics: g.panics,
		Limits: http1.Limits{HeadBytes: lc.MaxHeaderBytes, Fields: lc.MaxHeaderFields},
		HTTP2:  http2Options(&lc.HTTP2, lc.MaxHeaderBytes, lc.MaxHeaderFields), TLS: server,
		Shared: g.shared, Sink: g.sink, Log: g.options.Log,
	}
	if lc.TLS != nil {
		o.HandshakeTimeout = lc.TLS.HandshakeTimeout
	}
	return o
}

func abortOnClose(word string) listener.AbortOnClose {
	switch word {
	case "always":
		return listener.AbortAlways
	case "never":
		return listener.AbortNever
	}
	return listener.AbortLate
}

// clientCert are the settings of X-Forwarded-Client-Cert.
func clientCert(lc *config.Listener, server *tlsconf.Server) clientcert.Options {
	o := clientcert.Options{Mode: clientcert.ModeOf(lc.ForwardClientCert)}
	if server != nil {
		o.By = server.URIs
	}
	return o
}

// forwarding are the options of a listener's forwarder; server is its TLS, nil for
// none.
func (g *generation) forwarding(lc *config.Listener, server *tlsconf.Server, propagation *tracecontext.Propagation, status *headers.ProxyStatus) forward.Options {
	o := forward.Options{
		Labels:      g.labels(lc, &resources.Route{}),
		Propagation: propagation, Sampler: g.sampler, ProxyStatus: status,
		ProxyStatusMode: viewMode(lc.ProxyStatus), ServerTimingMode: viewMode(lc.ServerTiming),
		StreamIdleTimeout: lc.StreamIdleTimeout, Callers: lc.TrustedCallers,
		ErrorPages: g.errorPages(lc), TraceLink: lc.TraceLink,
		Deadlines: deadlines(&g.config.Deadlines), UnderWay: g.active,
		Record: g.recorded, Causes: g.causes, Kernel: g.kernel, Panics: g.panics, Shared: g.shared, Context: g.context,
	}
	if lc.Via {
		o.Via = pseudonym(g.config.Service)
	}
	o.Filters = slices.Clone(g.options.Filters)
	for _, named := range listenerFilters(lc, server, o.Via) {
		o.Filters = append(o.Filters, named.filter)
	}
	routes := g.base.Routes[resources.ID{Origin: resources.Configuration, Name: lc.Name}].Routes
	for i := range routes {
		labels := g.labels(lc, &routes[i])
		o.Routes = append(o.Routes, g.route(&routes[i], lc, labels))
	}
	o.Table, o.Hosts = compile(routes), hostsOf(routes)
	o.Paths = lc.Path.Rules()
	if lc.Catalog == "consul" {
		o.Catalog = new(atomic.Pointer[forward.Routing])
	}
	if lc.ForwardProxy != nil {
		o.Egress = g.forwardProxy(lc)
	}
	return o
}

// listenerFilter is a filter of a listener, by the key of the configuration.
type listenerFilter struct {
	key    string
	filter filter.Filter
}

// listenerFilters are the filters that come before the route is looked for, the first
// outermost; via is the proxy's name in Via.
func listenerFilters(lc *config.Listener, server *tlsconf.Server, via string) []listenerFilter {
	all := []listenerFilter{
		{"forwarded", forwarded.New(forwarded.Options{
			TrustedProxies: lc.Forwarded.TrustedProxies,
			XForwarded:     forwarded.ModeOf(lc.Forwarded.XForwarded),
			Forwarded:      forwarded.ModeOf(lc.Forwarded.RFC7239),
			Via:            via,
		})},
		{"forward_client_cert", clientcert.New(clientCert(lc, server))},
	}
	if lc.GRPCWeb {
		all = append(all, listenerFilter{"grpc_web", grpcweb.New()})
	}
	return all
}

// deadlines are the settings of what goes from hop to hop, nil where that is off.
func deadlines(c *config.Deadlines) *forward.Deadlines {
	if !c.Enabled {
		return nil
	}
	return &forward.Deadlines{Share: c.MarginPercent / 100, Least: c.MarginMin, Inherit: c.Inherit}
}

// forwardProxy makes what a forward-proxy listener needs.
func (g *generation) forwardProxy(lc *config.Listener) *forward.Egress {
	fc, cl := lc.ForwardProxy, g.cluster(resources.ForwardProxy, lc.Name)
	labels := func(route string) *hop.Labels {
		return g.labels(lc, &resources.Route{Name: route, Cluster: resources.ID{Name: lc.Name}})
	}
	e := &forward.Egress{
		Rules:    &forward.Rules{Deny: destinations(fc.Deny), Own: g.ownSocket},
		Requests: &forward.Forward{Targets: []forward.Target{{Labels: labels("forward"), Cluster: cl, Open: true}}, Timeout: fc.Timeout},
		Tunnels:  &forward.Forward{Targets: []forward.Target{{Labels: labels("connect"), Cluster: cl, Open: true}}},
	}
	for _, a := range fc.Allow {
		e.Allow = append(e.Allow, forward.Allow{Clients: a.Clients, Destinations: destinations(a.Destinations)})
	}
	return e
}

// destinations are those that a configuration lists.
func destinations(texts []string) (all forward.Destinations) {
	var names []config.Destination
	for _, text := range texts {
		d, err := config.ParseDestination(text)
		if err != nil { // not reached: the configuration is valid
			continue
		}
		if network, port, ok := d.Network(); ok {
			all.Networks = append(all.Networks, forward.Network{Prefix: network, Port: port})
			continue
		}
		names = append(names, d)
	}
	all.Name = func(host string, port uint16) bool {
		return slices.ContainsFunc(names, func(d config.Destination) bool { return d.Match(host, netip.Addr{}, port) })
	}
	return all
}

// ownSocket reports whether an address is one at which a forward proxy of this process
// listens, or its admin API.
func (p *Proxy) ownSocket(to netip.AddrPort) (loop, admin bool) {
	for _, b := range p.current.Load().listeners {
		loop = loop || b.config.ForwardProxy != nil && leadsTo(to, b.listener.Addr())
	}
	if p.adminSocket == nil {
		return loop, false
	}
	at, err := netip.ParseAddrPort(p.adminSocket.Addr().String())
	return loop, err == nil && leadsTo(to, at)
}

// leadsTo reports whether a connection to an address of this host arrives at a socket.
func leadsTo(to, at netip.AddrPort) bool {
	if at.Port() != to.Port() {
		return false
	}
	ip := to.Addr().Unmap()
	if !at.Addr().IsUnspecified() {
		return at.Addr().Unmap() == ip || ip.IsUnspecified()
	}
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	mine, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(mine, func(a net.Addr) bool {
		n, err := netip.ParsePrefix(a.String())
		return err == nil && n.Addr().Unmap() == ip
	})
}

func viewMode(word string) forward.ViewMode {
	switch word {
	case "pass":
		return forward.Pass
	case "cut":
		return forward.Cut
	}
	return forward.Append
}

// pseudonym is a service's name as Via can have it: a token (RFC 9110 section
// 7.6.3).
func pseudonym(service string) string {
	b := []byte(service)
	for i, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_') {
			b[i] = '-'
		}
	}
	return string(b)
}
