package forward

import (
	"context"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/stream"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// tunnel answers with the head in the exchange and carries bytes both ways
// until both sides have ended.
func (a *attempt) tunnel() (err error) {
	f, x, c := a.d.f, a.x, a.stream
	h, record := x.Hop, x.Hop.LastAttempt()
	h.Kind, h.Status, h.FirstByte = hop.KindTunnel, x.Response.Status, record.FirstByte
	defer func() {
		if err != nil {
			recordFailure(h, fault.Of(err))
		}
		if record.End == 0 {
			record.End = now(h)
		}
		a.finish(false)
	}()
	acceptWebSocket(x, c.Version())
	if err := x.Writer.Head(&x.Response); err != nil {
		return err
	}
	if err := x.Writer.Flush(); err != nil {
		return err
	}
	x.Active.Wait(active.Tunnel, h.FirstByte)
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
	if err := a.sendAll(); err != nil {
		return err
	}
	c.Limit(0) // which is not for tunnels
	t := stream.Tunnel{Client: x.Conn.Detach(), Endpoint: c.Duplex(), Name: record.Endpoint, Idle: a.d.idle(), Shared: f.Shared,
		Panicked: func(p any) error { return f.panicked(p, h, "a tunnel") }}
	up, down, err := t.Run()
	h.BytesIn, h.BytesOut = h.BytesIn+up, down
	record.BytesSent, record.BytesReceived = record.BytesSent+up, down
	return err
}

// sendAll waits until the content of the request has been sent: what the client sends
// after it is the tunnel's.
func (a *attempt) sendAll() error {
	u := a.upload
	if u == nil {
		return nil
	}
	<-u.done
	if !a.settle() {
		return u.cause(fault.New(fault.UpstreamClosed, a.x.Hop.LastAttempt().Endpoint+" changed protocols and took no more of the request's content"))
	}
	return nil
}
