package evidence

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
)

// This file encodes questions to sock_diag and decodes its answers: messages of netlink
// (linux/netlink.h, linux/inet_diag.h) in the machine's byte order, addresses and ports
// in the network's.

// The numbers of those headers.
const (
	familyIPv4, familyIPv6 = 2, 10
	protocolTCP            = 6

	messageError, messageDone = 2, 3
	byFamily                  = 20 // SOCK_DIAG_BY_FAMILY

	flagRequest, flagDump = 0x1, 0x300

	stateEstablished, stateSynReceived, stateListen = 1, 3, 10

	attributeV6Only = 11 // INET_DIAG_SKV6ONLY
)

const (
	headerSize  = 16 // struct nlmsghdr
	requestSize = 56 // struct inet_diag_req_v2
	answerSize  = 72 // struct inet_diag_msg
)

// socket is a socket of this machine as sock_diag describes it.
type socket struct {
	state         uint8
	local, remote netip.AddrPort
	// receive is how many bytes wait to be read; of a listener, how many connections wait
	// to be accepted. send is how many bytes are unacknowledged; of a listener, how many
	// connections may wait.
	receive, send uint32
	// inode is 0 if no process has the socket.
	inode uint32
	// v6Only is a listener of IPv6 that takes no connections of IPv4.
	v6Only bool
}

// appendExact appends the question for the one socket between two addresses of the same
// family.
func appendExact(b []byte, local, remote netip.AddrPort) []byte {
	return appendQuestion(b, 0, 0xffffffff, local, remote)
}

// appendListeners appends the question for all listeners of a port. The address says no
// more than the family.
func appendListeners(b []byte, at netip.AddrPort) []byte {
	none := netip.IPv4Unspecified()
	if at.Addr().Is6() {
		none = netip.IPv6Unspecified()
	}
	return appendQuestion(b, flagDump, 1<<stateListen, netip.AddrPortFrom(none, at.Port()), netip.AddrPortFrom(none, 0))
}

func appendQuestion(b []byte, flags uint16, states uint32, local, remote netip.AddrPort) []byte {
	order := binary.NativeEndian
	b = order.AppendUint32(b, headerSize+requestSize)
	b = order.AppendUint16(b, byFamily)
	b = order.AppendUint16(b, flagRequest|flags)
	b = order.AppendUint32(b, 1) // sequence
	b = order.AppendUint32(b, 0) // the kernel knows who asks
	family := byte(familyIPv4)
	if local.Addr().Is6() {
		family = familyIPv6
	}
	b = append(b, family, protocolTCP, 0, 0)
	b = order.AppendUint32(b, states)
	b = binary.BigEndian.AppendUint16(b, local.Port())
	b = binary.BigEndian.AppendUint16(b, remote.Port())
	b = appendAddress(b, local.Addr())
	b = appendAddress(b, remote.Addr())
	b = order.AppendUint32(b, 0)             // any interface
	b = order.AppendUint32(b, 0xffffffff)    // no cookie
	return order.AppendUint32(b, 0xffffffff) // likewise
}

// appendAddress appends an address in the 16 bytes that either family has.
func appendAddress(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		four := a.As4()
		return append(append(b, four[:]...), make([]byte, 12)...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

// errTruncated is an answer that ends too early.
var errTruncated = errors.New("the answer of sock_diag is cut off")

// decode calls each for the sockets of one datagram of an answer. done is true if no
// further datagram belongs to the answer. An error is a [syscall.Errno] if the kernel
// sent it.
func decode(b []byte, each func(socket)) (done bool, err error) {
	order := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < headerSize {
			return true, errTruncated
		}
		size := int64(order.Uint32(b))
		if size < headerSize || size > int64(len(b)) {
			return true, errTruncated
		}
		body := b[headerSize:size]
		switch order.Uint16(b[4:]) {
		case messageDone, messageError:
			if len(body) < 4 {
				return true, errTruncated
			}
			if code := int32(order.Uint32(body)); code < 0 {
				return true, syscall.Errno(-int64(code))
			}
			return true, nil
		case byFamily:
			s, ok := decodeSocket(body)
			if !ok {
				return true, errTruncated
			}
			each(s)
			done = order.Uint16(b[6:])&flagMulti == 0
		}
		b = b[min((size+3)&^3, int64(len(b))):]
	}
	return done, nil
}

// flagMulti marks a message that is followed by others.
const flagMulti = 0x2

func decodeSocket(b []byte) (s socket, ok bool) {
	if len(b) < answerSize {
		return s, false
	}
	order := binary.NativeEndian
	six := b[0] == familyIPv6
	s.state = b[1]
	s.local = decodeAddress(b[8:24], b[4:6], six)
	s.remote = decodeAddress(b[24:40], b[6:8], six)
	s.receive, s.send, s.inode = order.Uint32(b[56:]), order.Uint32(b[60:]), order.Uint32(b[68:])
	for rest := b[answerSize:]; len(rest) >= 4; {
		size := int(order.Uint16(rest))
		if size < 4 || size > len(rest) {
			return s, false
		}
		if order.Uint16(rest[2:]) == attributeV6Only && size > 4 {
			s.v6Only = rest[4] != 0
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	return s, true
}

func decodeAddress(address, port []byte, six bool) netip.AddrPort {
	ip := netip.AddrFrom4([4]byte(address[:4]))
	if six {
		ip = netip.AddrFrom16([16]byte(address)).Unmap()
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port))
}

// takes reports whether a listener takes connections to an address.
func (s *socket) takes(to netip.AddrPort) bool {
	at := s.local.Addr()
	switch {
	case s.state != stateListen || s.local.Port() != to.Port():
		return false
	case !at.IsUnspecified():
		return at == to.Addr()
	case at.Is4():
		return to.Addr().Is4()
	}
	return to.Addr().Is6() || !s.v6Only
}
