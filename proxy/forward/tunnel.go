package forward

import (
	"context"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/stream"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// tunnel answers with the head in the exchange and carries bytes both ways
// until both sides have ended.
func (f *Forwarder) tunnel(x *filter.Exchange, w *way) (err error) {
	h, a, c := x.Hop, x.Hop.LastAttempt(), w.stream
	h.Kind, h.Status, h.FirstByte = hop.KindTunnel, x.Response.Status, a.FirstByte
	defer func() {
		if err != nil {
			f.fail(h, fault.Of(err))
		}
		if a.End == 0 {
			a.End = now(h)
		}
		f.end(h, w, false)
	}()
	acceptWebSocket(x, c.Version())
	if err := x.Writer.Head(&x.Response); err != nil {
		return err
	}
	if err := x.Writer.Flush(); err != nil {
		return err
	}
	c.Watch(nil)
	cut := make(chan struct{})
	stop := context.AfterFunc(f.Context, func() {
		c.Close()
		close(cut)
	})
	defer func() {
		if !stop() { // and it is closed before it is released
			<-cut
		}
	}()
	if err := w.sendAll(x); err != nil {
		return err
	}
	c.Limit(0) // which is not for tunnels
	t := stream.Tunnel{Client: x.Conn.Detach(), Endpoint: c.Duplex(), Name: a.Endpoint, Idle: f.StreamIdleTimeout, Shared: f.Shared,
		Panicked: func(p any) error { return f.panicked(p, h, "a tunnel") }}
	up, down, err := t.Run()
	h.BytesIn, h.BytesOut = h.BytesIn+up, down
	a.BytesSent, a.BytesReceived = a.BytesSent+up, down
	return err
}

// sendAll waits until the content of the request has been sent: what the client sends
// after it is the tunnel's.
func (w *way) sendAll(x *filter.Exchange) error {
	u := w.upload
	if u == nil {
		return nil
	}
	<-u.done
	if !w.settle(x.Hop) {
		return u.cause(fault.New(fault.UpstreamClosed, x.Hop.LastAttempt().Endpoint+" changed protocols and took no more of the request's content"))
	}
	return nil
}
