package snapshot

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/telemetry/events"
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

// places are the sockets for the listeners of a new generation. Closing it closes those
// that were not used.
type places struct {
	*generation
	old *generation
	// sockets are those that listeners inherit from another process, by name.
	sockets map[string]net.Listener
	// taken has the old listeners whose sockets go to a new one, with that one's name.
	taken map[*bound]string
}

// places gives each listener the socket of the old listener, or of the process before,
// that had its address, whatever its name. Addresses that are written alike come first.
func (g *generation) places(old *generation) *places {
	p := &places{g, old, map[string]net.Listener{}, map[*bound]string{}}
	for i := range g.config.Listeners {
		lc := &g.config.Listeners[i]
		if b := old.written(lc); b != nil {
			p.taken[b] = lc.Name
		} else if socket := g.inherit(ofListener, lc.Name, lc.Address); socket != nil {
			p.sockets[lc.Name] = socket
		}
	}
	return p
}

// written returns the listener whose address is written in the same way. It must have
// the same name if the port is for the system to choose.
func (g *generation) written(lc *config.Listener) *bound {
	if b := g.named(lc.Name); b != nil && b.config.Address == lc.Address {
		return b
	}
	if anyPort(lc.Address) {
		return nil
	}
	i := slices.IndexFunc(g.listeners, func(b *bound) bool { return b.config.Address == lc.Address })
	if i < 0 {
		return nil
	}
	return g.listeners[i]
}

func (p *places) close() {
	for _, socket := range p.sockets {
		socket.Close()
	}
}

// take returns the socket of a listener. It is nil if the address has to be bound last,
// beside the sockets that it replaces; the caller gets copies of those.
func (p *places) take(lc *config.Listener) (socket net.Listener, replaces []net.Listener, err error) {
	if socket = p.sockets[lc.Name]; socket != nil {
		delete(p.sockets, lc.Name)
		return socket, nil, nil
	}
	if b := p.old.written(lc); b != nil {
		socket, err = p.copy(lc, b.listener.Socket())
		return socket, nil, err
	}
	socket, err = listener.Bind(lc.Name, lc.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return p.inUse(lc, err)
	}
	return socket, nil, err
}

// inUse is take for an address that is in use, in whole or in part. It returns err if
// neither this process uses it nor the one that it takes over from.
func (p *places) inUse(lc *config.Listener, err error) (socket net.Listener, replaces []net.Listener, _ error) {
	for _, b := range p.old.listeners {
		name, s := p.taken[b], b.listener.Socket()
		switch {
		case !overlap(lc.Address, s):
			continue
		case name != "":
			return nil, nil, fmt.Errorf("listener %s: address %s includes %s, which is listener %s's: choose another port for one of them", lc.Name, lc.Address, s.Addr(), name)
		case same(lc.Address, s):
			p.taken[b] = lc.Name
			socket, err = p.copy(lc, s)
			return socket, nil, err
		}
		replaces = append(replaces, s)
	}
	if s := p.adminSocket; s != nil && overlap(lc.Address, s) {
		return nil, nil, fmt.Errorf("listener %s: address %s includes %s, which is the admin API's: choose another port", lc.Name, lc.Address, s.Addr())
	}
	socket, inherited := p.inheritBound(lc.Address)
	if socket != nil {
		return socket, nil, nil
	}
	if replaces = append(replaces, inherited...); len(replaces) == 0 {
		return nil, nil, err
	}
	for i, s := range replaces {
		if replaces[i], err = p.copy(lc, s); err != nil {
			closeSockets(replaces[:i])
			return nil, nil, err
		}
	}
	return nil, replaces, nil
}

// overlap and same compare an address, as it is written, with a socket's own.
func overlap(address string, s net.Listener) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	return err == nil && handover.Overlap(a, s.Addr().(*net.TCPAddr))
}

func same(address string, s net.Listener) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	return err == nil && handover.Same(a, s.Addr().(*net.TCPAddr))
}

// copy is a copy of a socket for a listener.
func (p *places) copy(lc *config.Listener, of net.Listener) (net.Listener, error) {
	socket, err := handover.Dup(of)
	if err != nil {
		return nil, fmt.Errorf("listener %s: taking over the socket of %s: %w", lc.Name, lc.Address, err)
	}
	return socket, nil
}

// late is a listener that is bound when all else is ready: from then on it takes
// connections away from the sockets that it replaces.
type late struct {
	*bound
	options  listener.Options
	replaces []net.Listener
}

// leaveGrace is how long another process may still accept from sockets that this one
// replaces, after it was told that this one serves.
const leaveGrace = time.Second

// TookOver says that the process whose sockets were inherited was told to stop. Until
// then it accepts from them too, even from those that are replaced here.
func (p *Proxy) TookOver() {
	p.noteOwn(events.Upgrade, "this process took over from the one before")
	p.takenOver.Do(func() { time.AfterFunc(leaveGrace, func() { close(p.alone) }) })
}

// bindLate binds what is left to be bound.
func (g *generation) bindLate() error {
	var mistakes []error
	for i := range g.late {
		l := &g.late[i]
		socket, err := listener.Bind(l.config.Name, l.config.Address, l.replaces...)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%w (this process listens on a part of it already)", err))
			continue
		}
		l.listener = listener.New(l.options, l.forwarder, socket)
		l.listener.Replace(g.alone, l.replaces...)
		l.replaces = nil
	}
	return errors.Join(mistakes...)
}

// unbind undoes what was bound for this generation alone.
func (g *generation) unbind(old *generation) {
	for _, l := range g.late {
		closeSockets(l.replaces)
	}
	for _, b := range g.listeners {
		if b.listener != nil && old.uses(b.listener) == nil {
			b.listener.StopAccepting()
		}
	}
}

func closeSockets(all []net.Listener) {
	for _, s := range all {
		s.Close()
	}
}

// inherit takes the socket of an address from those of the process before, nil if there
// is none. It must have the same name if the port is for the system to choose.
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

// inheritBound takes the socket of the same address from those of the process before,
// however it is written there. If there is none, it returns those that overlap it, which
// are not the caller's.
func (p *Proxy) inheritBound(address string) (socket net.Listener, overlapping []net.Listener) {
	for i, s := range p.options.Inherited {
		if same(address, s.Listener) {
			p.options.Inherited = slices.Delete(slices.Clone(p.options.Inherited), i, i+1)
			return s.Listener, nil
		}
		if overlap(address, s.Listener) {
			overlapping = append(overlapping, s.Listener)
		}
	}
	return nil, overlapping
}

// disinherit closes the sockets that nobody took.
func (p *Proxy) disinherit() {
	for _, s := range p.options.Inherited {
		s.Listener.Close()
	}
	p.options.Inherited = nil
}

// anyPort reports whether the system chooses an address's port. Then listeners with the
// same address are not the same.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }
