package evidence

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// look asks the kernel about its end of a connection, by two system calls.
func look(nc net.Conn) (c connection, ok bool) {
	s, is := nc.(*net.TCPConn)
	if !is {
		return c, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return c, false
	}
	err = raw.Control(func(fd uintptr) { c, ok = ask(int(fd)) })
	return c, ok && err == nil
}

// ask reads TCP_INFO and SIOCOUTQ.
func ask(fd int) (c connection, ok bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return c, false
	}
	if c.unacked, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ); err != nil {
		return c, false
	}
	c.gone = info.State == unix.BPF_TCP_CLOSE
	c.ended = info.State == unix.BPF_TCP_CLOSE_WAIT || info.State == unix.BPF_TCP_LAST_ACK
	c.unsent = int(info.Notsent_bytes)
	c.retransmits, c.allRetransmits, c.probes = int(info.Retransmits), int(info.Total_retrans), int(info.Probes)
	c.rtt = time.Duration(info.Rtt) * time.Microsecond
	c.sent = time.Duration(info.Last_data_sent) * time.Millisecond
	c.heard = time.Duration(info.Last_data_recv) * time.Millisecond
	return c, true
}
