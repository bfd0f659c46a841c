package listener

import (
	"net"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// ends is a connection with addresses alone.
type ends struct {
	net.Conn
	peer, local net.Addr
}

func (e ends) RemoteAddr() net.Addr { return e.peer }
func (e ends) LocalAddr() net.Addr  { return e.local }

func TestAddressesOfAConnection(t *testing.T) {
	l := &Listener{Options: Options{Sink: func(uint64) hop.Sink { return nil }}}
	at := func(ip, zone string) *net.TCPAddr {
		return &net.TCPAddr{IP: net.ParseIP(ip), Port: 80, Zone: zone}
	}
	for _, tc := range []struct {
		peer     net.Addr
		text, ip string
		loopback bool
	}{
		{at("127.0.0.1", ""), "127.0.0.1:80", "127.0.0.1", true},
		{at("192.0.2.1", ""), "192.0.2.1:80", "192.0.2.1", false},
		{at("::ffff:192.0.2.1", ""), "192.0.2.1:80", "192.0.2.1", false},
		{at("::1", ""), "[::1]:80", "::1", true},
		{at("fe80::1", "eth0"), "[fe80::1%eth0]:80", "fe80::1%eth0", false},
		{&net.UnixAddr{Name: "@a", Net: "unix"}, "@a", "@a", false},
	} {
		for _, local := range []*net.TCPAddr{at("192.0.2.7", ""), at("192.0.2.8", "")} {
			info := l.newInfo(ends{peer: tc.peer, local: local}, 1)
			if info.Peer != tc.text || info.PeerIP != tc.ip || info.Loopback != tc.loopback || info.Local != local.String() {
				t.Errorf("%v: %+v", tc.peer, info)
			}
		}
	}
}
