package forward

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// A panic costs only its own request. It is caught close to what must be cleaned up, and
// becomes an error there: in try for an attempt, in relay for a response, in the
// goroutines of uploads and tunnels, and in handle for all else. After that it is handled
// as any other error.

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

// rescueUpload is deferred by the goroutine of an upload. It closes the stream; the
// attempt then asks the upload why.
func (f *Forwarder) rescueUpload(u *upload, h *hop.Hop) {
	if p := recover(); p != nil {
		u.failed.Store(f.panicked(p, h, "an upload"))
		u.stream.Close()
	}
}
