package fault

import (
	"net"

	"github.com/miekg/dns"
)

// resolver is a DNS server on loopback that answers every question with the same code.
type resolver struct {
	server *dns.Server
	done   chan struct{}
}

func startResolver(code int) (*resolver, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &resolver{done: make(chan struct{})}
	started := make(chan struct{})
	r.server = &dns.Server{
		PacketConn: conn, NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, code)) // an error means that nobody waits for it
		}),
	}
	go func() {
		defer close(r.done)
		_ = r.server.ActivateAndServe() // it ends by close alone
	}()
	<-started
	return r, nil
}

func (r *resolver) address() string { return r.server.PacketConn.LocalAddr().String() }

func (r *resolver) close() {
	_ = r.server.Shutdown()
	<-r.done
}
