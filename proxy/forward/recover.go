package forward

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// A panic costs the request that met it. It becomes an error where it is caught, as
// near to what it leaves open as is needed to close that: by try for an attempt, by relay
// for a response that is passed on, by the goroutines of an upload and of a tunnel, and
// by handle for all else. So what was taken is given back in the one way in which it
// always is. Locks that are held across calls of others are released by defer.

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

// rescueRelay is rescue for the response of an attempt, all of which is given back.
func (f *Forwarder) rescueRelay(x *filter.Exchange, w *way, err *error) {
	p := recover()
	if p == nil {
		return
	}
	why := f.panicked(p, x.Hop, "a response")
	*err = why
	if w.stream == nil { // it was given back before
		return
	}
	w.stream.Close()
	f.fail(x.Hop, why)
	f.end(x.Hop, w, false)
}

// rescueUpload is deferred by the goroutine of an upload: the exchange is told by the end
// of the connection, and asks why.
func (f *Forwarder) rescueUpload(u *upload, h *hop.Hop) {
	if p := recover(); p != nil {
		u.failed.Store(f.panicked(p, h, "an upload"))
		u.conn.Close()
	}
}
