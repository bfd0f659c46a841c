package process

import (
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/handover"
)

// activated returns the sockets that systemd opened for this process, each of which has to be
// for an address of the configuration: clients that connect to another would wait for ever.
func activated(c *config.Config) ([]handover.Socket, error) {
	all, err := handover.Activated(os.Getenv, os.Getpid())
	if err != nil {
		return nil, err
	}
	addresses := []string{c.Admin.Address}
	for i := range c.Listeners {
		addresses = append(addresses, c.Listeners[i].Address)
	}
	for _, s := range all {
		at, ok := s.Listener.Addr().(*net.TCPAddr)
		if !ok || !slices.ContainsFunc(addresses, func(address string) bool {
			a, err := net.ResolveTCPAddr("tcp", address)
			return err == nil && handover.Same(a, at)
		}) {
			for _, s := range all {
				s.Listener.Close()
			}
			return nil, fmt.Errorf("a socket for %s was passed (LISTEN_FDS), but no listener has this address: "+
				"give one the address, or take it out of the socket unit", s.Address)
		}
	}
	return all, nil
}
