package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/handover"
)

// upgradeSocket returns the Unix socket by which a process with this configuration hands
// over its sockets, or "" if it hands over none.
func upgradeSocket(c *config.Config) string {
	switch {
	case c.UpgradeSocket != "":
		return c.UpgradeSocket
	case !handover.Supported, c.Admin.Address == "off", strings.HasSuffix(c.Admin.Address, ":0"):
		return ""
	}
	return fmt.Sprintf("@hopscope-%d-%s", os.Getuid(), c.Admin.Address)
}

// predecessor is the process that this one takes over from; nil for none.
type predecessor struct{ *handover.Takeover }

// takeOver asks the process that runs for its sockets.
func takeOver(ctx context.Context, c *config.Config, version string) (*predecessor, error) {
	address := upgradeSocket(c)
	if address == "" {
		return nil, errors.New("--upgrade: there is no admin address to find the running process by: set upgrade_socket, and restart once without --upgrade")
	}
	t, err := handover.Take(ctx, address, version)
	switch {
	case errors.Is(err, handover.ErrNobody):
		return nil, fmt.Errorf("--upgrade: no hopscope answers at %s: if none is running, start without --upgrade; "+
			"if one is, both need the same user and the same upgrade_socket, or the same admin.address if that is not set", address)
	case err != nil:
		return nil, fmt.Errorf("--upgrade: the running hopscope hands nothing over: %w", err)
	}
	return &predecessor{t}, nil
}

func (b *predecessor) sockets() []handover.Socket {
	if b == nil {
		return nil
	}
	return b.Sockets
}

// memory returns what the predecessor knew.
func (b *predecessor) memory() []byte {
	if b == nil {
		return nil
	}
	return b.Memory
}

// giveBack leaves everything to the predecessor. The sockets are closed by now.
func (b *predecessor) giveBack() {
	if b != nil {
		b.Sockets = nil
		b.Close()
	}
}

// errNotTaken means that the predecessor goes on, so that this process must not.
var errNotTaken = errors.New("--upgrade: the old process keeps running, and this one ends")

// succeed tells the predecessor to go, and lets the next process find this one. The
// error is errNotTaken if the predecessor goes on.
func (p *process) succeed(c *config.Config, before *predecessor) (*successors, error) {
	var server *handover.Server
	if before != nil {
		switch err := before.Ready(p.proxy.Registered()...); {
		case err == nil:
			p.log.Info("took over", "pid", before.From.PID, "version", before.From.Version, "sockets", len(before.Sockets))
		case errors.Is(err, handover.ErrGone):
			p.log.Warn("the old process had already ended", "pid", before.From.PID, "error", err)
		default:
			before.giveBack()
			return nil, fmt.Errorf("%w: process %d: %w", errNotTaken, before.From.PID, err)
		}
		p.proxy.TookOver()
		server = before.Server
	}
	if address := upgradeSocket(c); server == nil && address != "" {
		var err error
		if server, err = handover.Listen(address); err != nil && c.UpgradeSocket != "" {
			return nil, fmt.Errorf("upgrade_socket: %w", err)
		} else if err != nil {
			p.log.Warn("hopscope run --upgrade can't take over from this process", "error", err)
		}
	}
	if server != nil {
		go server.Serve(handover.Offer{Version: p.version, Sockets: p.proxy.Sockets, Memory: p.proxy.Memory, Log: p.log})
	}
	return &successors{server: server}, nil
}

// successors are the processes that may take over from this one. Without a server there
// are none.
type successors struct{ server *handover.Server }

// taken receives the process that took over.
func (s *successors) taken() <-chan handover.Successor {
	if s.server == nil {
		return nil
	}
	return s.server.Taken()
}

// close refuses all further processes. It may be called twice.
func (s *successors) close() {
	if s.server != nil {
		s.server.Close()
	}
}
