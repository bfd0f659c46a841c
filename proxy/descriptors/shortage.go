package descriptors

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Shortage is what this machine is short of.
type Shortage uint8

// The shortages.
const (
	None        Shortage = iota
	Descriptors          // of the process, or of the whole system
	Memory               // for sockets, in the kernel
	Ports                // of this machine, for connections to one address
)

// Lacks reports whether an error says that the process, or the system, has no
// descriptor or no memory left: that nothing was asked of anybody else.
func Lacks(err error) bool { return of(err) != None }

func of(err error) Shortage {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return Descriptors
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return Memory
	}
	return None
}

// OfDial tells what was lacking where a TCP connection could not be opened, and in
// words what to raise; None where that is not why.
func OfDial(err error) (Shortage, string) {
	s := of(err)
	switch {
	case s != None:
	case errors.Is(err, syscall.EADDRNOTAVAIL) && routable(err):
		s = Ports
	case isDNS(err) && Short(): // the resolver's errors don't say, and it falls back on other files and servers
		s = Descriptors
	}
	return s, remedy(s, err)
}

func isDNS(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

// routable reports whether this machine has an address from which the one that was
// dialled can be reached. Then it is ports that lack: both are the same error. UDP has
// ports of its own, and no packet is sent.
func routable(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to.AddrPort()))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// remedy says in words what lacks, and what to raise.
func remedy(s Shortage, err error) string {
	switch s {
	case Descriptors:
		if errors.Is(err, syscall.ENFILE) {
			return "the whole system has no file descriptor left: raise fs.file-max, or close what is not needed"
		}
		return fmt.Sprintf("this proxy has no file descriptor left: raise its limit on open files, which is %d now (ulimit -n, LimitNOFILE= of systemd)", Limit())
	case Memory:
		return "the kernel has no memory left for sockets: raise the memory limit of this proxy, or net.ipv4.tcp_mem"
	case Ports:
		return "this machine has no local port left for connections to it: widen net.ipv4.ip_local_port_range, or keep connections open (max_idle, idle_timeout)"
	}
	return ""
}
