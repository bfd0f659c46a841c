package upstream

import (
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// errGone is the error of a wait that ended because the client went away.
var errGone = fault.New(fault.ClientClosed, "the client closed the connection before it had the whole response")

// waited is a wait for an endpoint, with the timeouts that bounded it.
type waited struct {
	address               string
	deadline, limit, idle time.Duration
}

// timedOut tells a route's timeout from an endpoint that went silent. before is true
// while no response has begun.
func (w waited) timedOut(now time.Duration, before bool) error {
	by := w.deadline
	if w.limit > 0 && (by == 0 || w.limit < by) {
		by = w.limit
	}
	switch {
	case by == 0 || now < by:
		return fault.New(fault.UpstreamIdle, fmt.Sprintf("%s sent nothing for %s", w.address, w.idle))
	}
	return TimedOut(w.address, before)
}

// TimedOut is the failure of a request whose route's time is over. before is true while no
// response has begun.
func TimedOut(address string, before bool) *fault.Error {
	did := "end its response"
	if before {
		did = "answer"
	}
	return fault.New(fault.UpstreamTimeout, address+" did not "+did+" within the route's timeout")
}

// isAlert reports whether err is a TLS alert that the endpoint sent.
func isAlert(err error) bool {
	_, ok := tlsconf.Alert(err)
	return ok
}
