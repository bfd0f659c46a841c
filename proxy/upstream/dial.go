package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// dial opens a connection; the caller has made room for it. It gives up when ctx is done,
// at giveUp (0 for never), or after the connect timeout.
func (g *Group) dial(ctx context.Context, e *Endpoint, giveUp time.Duration) (Stream, error) {
	left := g.options.ConnectTimeout
	if giveUp > 0 {
		left = min(left, giveUp-g.shared.Now())
	}
	dialling, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	nio, tls, err := g.connect(dialling, e)
	if err != nil {
		why := err
		switch {
		case ctx.Err() != nil:
			why = nil // other waiters may dial themselves
		case left < g.options.ConnectTimeout && late(err):
			found := fault.Of(err).Evidence
			why, err = nil, &fault.Error{Kind: fault.UpstreamTimeout, Reason: e.Address + " did not accept a connection before the request timed out", Evidence: found}
		}
		g.undialled(e, why)
		return nil, err
	}
	if g.options.Protocol == HTTP2 || tls != nil && tls.Protocol == "h2" {
		return g.begin(e, nio, tls)
	}
	g.mu.Lock()
	g.dialled++
	g.arrived(e, HTTP1)
	g.mu.Unlock()
	nio.Stamp()
	c := &Conn{nio: nio, endpoint: e, tls: tls}
	c.head.Limits = g.options.Head
	return c, nil
}

// late reports whether a connection was not ready in time.
func late(err error) bool {
	k := fault.Of(err).Kind
	return k == fault.ConnectTimeout || k == fault.TLSTimeout
}

// connect opens a connection, and encrypts it if the options say so.
func (g *Group) connect(ctx context.Context, e *Endpoint) (*netio.Conn, *hop.TLS, error) {
	nc, err := g.dialGuarded(ctx, e)
	if err != nil {
		return nil, nil, g.explain(e, err)
	}
	nio := netio.New(nc, g.shared)
	if g.options.TLS == nil {
		return nio, nil, nil
	}
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		host = e.Address
	}
	start := g.shared.Now()
	by, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) { // else the handshake ends by itself, and can be examined
			nio.Close()
		}
	})
	state, err := nio.StartTLS(g.options.TLS.Config(host), false, start+time.Until(by))
	if !stop() && err == nil { // ctx ended at the last moment, and closes it
		err = ctx.Err()
	}
	took := g.shared.Now() - start
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled):
		err = g.explain(e, ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil:
		err = &fault.Error{
			Kind: fault.TLSTimeout, Reason: fmt.Sprintf("%s did not end the TLS handshake within %s", e.Address, g.options.ConnectTimeout),
			Evidence: g.options.Kernel.Connection(nc, evidence.Attempt{Who: "the endpoint", Waited: took}),
		}
	default:
		err = tlsconf.ExplainClient(err, e.Address)
	}
	if err == nil && g.options.Protocol == HTTP2 && state.NegotiatedProtocol != "h2" {
		err = fault.New(fault.TLSALPN, e.Address+" does not speak HTTP/2 (ALPN did not agree on h2): set the cluster's protocol to auto or http1")
	}
	if err != nil {
		nio.Done()
		return nil, nil, err
	}
	return nio, tlsconf.Describe(&state, took), nil
}

// explain turns the error of a dial into a fault.
func (g *Group) explain(e *Endpoint, err error) error {
	var dns *net.DNSError
	var timeout net.Error
	kind, what := fault.ConnectFailed, "could not connect to"
	if f, ok := errors.AsType[*fault.Error](err); ok { // already explained
		return f
	}
	shortage, remedy := descriptors.OfDial(err)
	switch {
	case shortage == descriptors.Ports:
		return fault.New(fault.PortsExhausted, fmt.Sprintf("no connection to %s could be opened: %s", e.Address, remedy))
	case shortage != descriptors.None:
		return fault.New(fault.Exhausted, fmt.Sprintf("no connection to %s could be opened: %s", e.Address, remedy))
	case errors.As(err, &dns):
		return fault.Wrap(fault.DNSFailed, fmt.Sprintf("the name of %s could not be resolved", e.Address), errors.New(dns.Err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.ConnectRefused, "connection refused by "+e.Address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EADDRNOTAVAIL):
		kind, what = fault.ConnectUnroutable, "there is no route to"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return fault.New(fault.ConnectTimeout, fmt.Sprintf("%s did not accept a connection within %s", e.Address, g.options.ConnectTimeout))
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Draining, "the proxy is shutting down")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fault.Wrap(kind, what+" "+e.Address, err)
}
