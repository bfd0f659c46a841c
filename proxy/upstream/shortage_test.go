package upstream

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// TestOwnShortage: what this machine lacks for a connection is no failure of the
// endpoint's; where it is ports, another endpoint may do.
func TestOwnShortage(t *testing.T) {
	for errno, want := range map[syscall.Errno]struct {
		kind       fault.Kind
		remedy     string
		connecting bool
	}{
		syscall.EMFILE:        {fault.Exhausted, "ulimit -n", false},
		syscall.ENFILE:        {fault.Exhausted, "fs.file-max", false},
		syscall.ENOBUFS:       {fault.Exhausted, "net.ipv4.tcp_mem", false},
		syscall.EADDRNOTAVAIL: {fault.PortsExhausted, "net.ipv4.ip_local_port_range", true},
	} {
		dial := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, Err: os.NewSyscallError("connect", errno)}
		}
		g := NewGroup("web", Options{ConnectTimeout: time.Second, IdleTimeout: time.Minute, MaxConnections: 1, MaxPending: 1, MaxIdle: 1, Dial: dial}, netio.NewShared())
		_, err := g.Acquire(t.Context(), g.Endpoint("127.0.0.1:80"), g.shared.Now(), 0, false)
		why := fault.Of(err)
		if why == nil || why.Kind != want.kind || why.Kind.Connecting() != want.connecting || why.Kind.Side() != fault.Proxy ||
			!strings.HasPrefix(why.Reason, "no connection to 127.0.0.1:80 could be opened: ") || !strings.Contains(why.Reason, want.remedy) {
			t.Errorf("%v: %v of kind %v, want %v and %q", errno, err, why.Kind, want.kind, want.remedy)
		}
		if s := g.Stats(); s.Active != 0 {
			t.Errorf("%v: %d connections are active", errno, s.Active)
		}
		g.Close()
	}
}
