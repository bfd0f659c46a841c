package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// upgradeSocket is where a process with this configuration is asked for its
// sockets: "" for nowhere.
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

// takeOver asks the process that runs for its sockets, if that is wanted.
func takeOver(ctx context.Context, c *config.Config, wanted bool) (*predecessor, error) {
	if !wanted {
		return nil, nil
	}
	address := upgradeSocket(c)
	if address == "" {
		return nil, errors.New("--upgrade: there is no admin address to find the running process by: set upgrade_socket, and restart it once without --upgrade")
	}
	t, err := handover.Take(ctx, address, version)
	switch {
	case errors.Is(err, handover.ErrNobody):
		return nil, fmt.Errorf("--upgrade: no hopscope answers at %s: start without --upgrade if none runs; "+
			"if one does, it must be of the same user and have the same upgrade_socket, or admin.address where that is not set", address)
	case err != nil:
		return nil, fmt.Errorf("--upgrade: the hopscope that runs hands nothing over: %w", err)
	}
	return &predecessor{t}, nil
}

func (p *predecessor) sockets() []handover.Socket {
	if p == nil {
		return nil
	}
	return p.Sockets
}

// memory is what it knew.
func (p *predecessor) memory() []byte {
	if p == nil {
		return nil
	}
	return p.Memory
}

// giveBack leaves everything to the other process. The sockets are closed by now.
func (p *predecessor) giveBack() {
	if p != nil {
		p.Sockets = nil
		p.Close()
	}
}

// errNotTaken is that the other process goes on, so that this one must not.
var errNotTaken = errors.New("--upgrade: the process that runs goes on, and this one ends")

// succeed takes the other process's place: it may go, and the next one finds this. The
// error is errNotTaken where that one goes on.
func (p *predecessor) succeed(c *config.Config, running *snapshot.Proxy, log *slog.Logger) (*successors, error) {
	var server *handover.Server
	if p != nil {
		switch err := p.Ready(running.Registered()...); {
		case err == nil:
			log.Info("took over", "pid", p.From.PID, "version", p.From.Version, "sockets", len(p.Sockets))
		case errors.Is(err, handover.ErrGone):
			log.Warn("the process that was taken over from had ended by itself", "pid", p.From.PID, "error", err)
		default:
			p.giveBack()
			return nil, fmt.Errorf("%w: process %d: %w", errNotTaken, p.From.PID, err)
		}
		running.TookOver()
		server = p.Server
	}
	if address := upgradeSocket(c); server == nil && address != "" {
		var err error
		if server, err = handover.Listen(address); err != nil && c.UpgradeSocket != "" {
			return nil, fmt.Errorf("upgrade_socket: %w", err)
		} else if err != nil {
			log.Warn("no process will be able to take over from this one", "error", err)
		}
	}
	s := &successors{server: server}
	if server != nil {
		go server.Serve(handover.Offer{Version: version, Sockets: running.Sockets, Memory: running.Memory, Log: log})
	}
	return s, nil
}

// successors are the processes that may take over from this one.
type successors struct{ server *handover.Server }

// taken tells which one did.
func (s *successors) taken() <-chan handover.Successor {
	if s.server == nil {
		return nil
	}
	return s.server.Taken()
}

// close has this process end without one.
func (s *successors) close() {
	if s.server != nil {
		s.server.Close()
	}
}
