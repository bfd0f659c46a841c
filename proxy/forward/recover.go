package forward

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// A panic costs the request that met it. It is caught close to what has to be cleaned up,
// and becomes an error there: in try for an attempt, in relay for a response, in the
// goroutines of uploads and tunnels, and in handle for everything else. Connections and
// counters are then given back as after any other error. Locks that are held while other
// code runs are released by defer.

// panicked makes an error of a panic, and counts it.
func (f *Forwarder) panicked(p any, h *hop.Hop, during string) *fault.Error {
	trace := ""
	if h != nil {
		trace = h.Trace.String()
	}
	f.Panics.Caught(p, during, trace)
	return fault.New(fault.Panic, "the proxy panicked while it served the request: its log has the stack")
}

// rescue is deferred by whoever drives an exchange; err becomes the panic's.
func (f *Forwarder) rescue(x *filter.Exchange, during string, err *error) {
	if p := recover(); p != nil {
		*err = f.panicked(p, x.Hop, during)
	}
}

// rescueRelay is rescue for the response of an attempt. It gives the attempt back.
func (a *attempt) rescueRelay(err *error) {
	p := recover()
	if p == nil {
		return
	}
	why := a.d.f.panicked(p, a.x.Hop, "a response")
	*err = why
	if a.stream == nil { // it was given back before
		return
	}
	a.stream.Close()
	a.fail(why)
}

// rescueUpload is deferred by the goroutine of an upload: the exchange is told by the end
// of the connection, and asks why.
func (f *Forwarder) rescueUpload(u *upload, h *hop.Hop) {
	if p := recover(); p != nil {
		u.failed.Store(f.panicked(p, h, "an upload"))
		u.stream.Close()
	}
}
