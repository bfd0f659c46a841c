package listener

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

const (
	// idleGrace is how long an idle HTTP/1 connection stays open after its time is up. A
	// request may be on its way; the response to it then says "Connection: close".
	idleGrace = 5 * time.Second
	// distrustGrace is how long a request or a tunnel may go on after its client's
	// certificate lost our trust.
	distrustGrace = 10 * time.Second
)

// until returns when a new connection is to end, 0 for never. It varies MaxAge by up to a
// tenth, so that clients that connected together do not reconnect together.
func (l *Listener) until() time.Duration {
	if l.MaxAge <= 0 {
		return 0
	}
	return l.Shared.Now() + time.Duration(float64(l.MaxAge)*(0.9+0.2*rand.Float64()))
}

// age ends connections that have reached their age. It stops when the listener stops
// accepting, since all connections end then.
func (l *Listener) age() *sync.WaitGroup {
	var running sync.WaitGroup
	if l.MaxAge <= 0 {
		return &running
	}
	running.Go(func() {
		ticker := time.NewTicker(min(max(l.MaxAge/50, 10*time.Millisecond), time.Second))
		defer ticker.Stop()
		for {
			select {
			case <-l.stopping:
				return
			case <-ticker.C:
				now := l.Shared.Now()
				l.each(func(c connection) { l.endOld(c, now) })
			}
		}
	})
	return &running
}

// endOld ends a connection step by step, if its time is up. It is called repeatedly; taking
// a step twice does no harm.
func (l *Listener) endOld(c connection, now time.Duration) {
	switch over := now - c.Info().Until; {
	case over < 0:
	case l.AgeGrace > 0 && over >= l.AgeGrace:
		c.because(fault.New(fault.ClientAged, fmt.Sprintf("the client's connection was cut %s after it had reached its age of %s (max_connection_age_grace)", l.AgeGrace, l.MaxAge)))
		c.cutOff()
	case over >= idleGrace:
		c.drain()
	default:
		c.retire()
	}
}

// watchTrust checks the clients' certificates again whenever the CA or CRL files change.
// Call stop to end it.
func (l *Listener) watchTrust() (stop func()) {
	if l.TLS == nil {
		return func() {}
	}
	return l.TLS.Changed(l.distrust)
}

// distrust ends the connections of clients that would be refused today. Idle connections
// end at once, others after their request, or after distrustGrace at the latest.
func (l *Listener) distrust() {
	type client struct {
		conn connection
		info *filter.ConnInfo
	}
	var clients []client
	l.each(func(c connection) {
		if a, arriving := c.(*arrival); arriving && !a.secured.Load() {
			return
		}
		if c.Info().Certificate != nil {
			clients = append(clients, client{c, c.Info()})
		}
	})
	why := map[[sha256.Size]byte]error{} // by certificate: many connections may share one
	ended := map[connection]error{}
	var first error
	for _, c := range clients {
		key := sha256.Sum256(c.info.Certificate.Raw)
		err, known := why[key]
		if !known {
			err = l.TLS.Trusts(c.info.Certificate, c.info.Intermediates)
			why[key] = err
		}
		if err != nil {
			ended[c.conn] = err
			if first == nil {
				first = err
			}
		}
	}
	if len(ended) > 0 {
		l.Log.Warn("connections end whose client certificates are not trusted any more", "listener", l.Name, "connections", len(ended), "because", tlsconf.ExplainServer(first).Reason)
		l.endDistrusted(ended)
	}
}

// endDistrusted ends the given connections that are still open.
func (l *Listener) endDistrusted(conns map[connection]error) {
	l.Distrusted.Add(uint64(len(conns)))
	some := func(f func(connection, error)) {
		l.each(func(c connection) {
			if why := conns[c]; why != nil {
				f(c, why)
			}
		})
	}
	some(func(c connection, _ error) {
		c.retire()
		c.drain()
	})
	time.AfterFunc(distrustGrace, func() {
		some(func(c connection, why error) {
			f := tlsconf.ExplainServer(why)
			c.because(fault.New(f.Kind, fmt.Sprintf("the client's connection was cut %s after its certificate was not trusted any more: %s", distrustGrace, f.Reason)))
			c.cutOff()
		})
	})
}

// trustAgain checks a client again if the files changed during its handshake.
// [Listener.distrust] may have missed it, or judged it by the old files.
func (l *Listener) trustAgain(version uint64, c connection) {
	if l.TLS.Version() == version {
		return
	}
	info := c.Info()
	if err := l.TLS.Trusts(info.Certificate, info.Intermediates); err != nil {
		l.endDistrusted(map[connection]error{c: err})
	}
}
