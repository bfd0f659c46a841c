package snapshot

import (
	"net"
	"slices"

	"github.com/hopscope/hopscope/proxy/handover"
)

// The kinds of sockets that are handed over.
const (
	ofListener = "listener"
	ofAdmin    = "admin"
)

// Sockets are copies of those that the proxy listens on, for another process. The
// caller closes them.
func (p *Proxy) Sockets() (all []handover.Socket, err error) {
	p.reloading.Lock() // which closes some
	defer p.reloading.Unlock()
	add := func(kind, name, address string, socket net.Listener) {
		if err != nil {
			return
		}
		var own net.Listener
		if own, err = handover.Dup(socket); err == nil {
			all = append(all, handover.Socket{Kind: kind, Name: name, Address: address, Listener: own})
		}
	}
	g := p.current.Load()
	for _, b := range g.listeners {
		add(ofListener, b.config.Name, b.config.Address, b.listener.Socket())
	}
	if p.adminSocket != nil {
		add(ofAdmin, "", g.config.Admin.Address, p.adminSocket)
	}
	if err != nil {
		for _, s := range all {
			s.Listener.Close()
		}
		return nil, err
	}
	return all, nil
}

// inherit takes the socket of an address from those that another process listened
// on: that of the same name, or, where the address says it all, of any. It returns
// nil if there is none.
func (p *Proxy) inherit(kind, name, address string) net.Listener {
	all := p.options.Inherited
	i := slices.IndexFunc(all, func(s handover.Socket) bool {
		return s.Kind == kind && s.Name == name && s.Address == address
	})
	if i < 0 && !anyPort(address) {
		i = slices.IndexFunc(all, func(s handover.Socket) bool { return s.Address == address })
	}
	if i < 0 {
		return nil
	}
	socket := all[i].Listener
	p.options.Inherited = slices.Delete(slices.Clone(all), i, i+1)
	return socket
}

// disinherit closes the sockets that nobody took.
func (p *Proxy) disinherit() {
	for _, s := range p.options.Inherited {
		s.Listener.Close()
	}
	p.options.Inherited = nil
}
