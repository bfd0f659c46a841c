package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// dial opens a connection, for which the caller has made room.
func (g *Group) dial(ctx context.Context, e *Endpoint) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.options.ConnectTimeout)
	defer cancel()
	nc, err := g.options.Dial(ctx, "tcp", e.Address)
	if err != nil {
		g.freed(e)
		return nil, g.explain(e, err)
	}
	g.mu.Lock()
	g.dialled++
	g.mu.Unlock()
	c := &Conn{nio: netio.New(nc, g.shared), endpoint: e}
	c.head.Limits = g.options.Head
	return c, nil
}

// explain tells why a connection could not be made.
func (g *Group) explain(e *Endpoint, err error) error {
	var dns *net.DNSError
	var timeout net.Error
	kind, what := fault.ConnectFailed, "could not connect to"
	switch {
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
