package dns

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/miekg/dns"

	"github.com/hopscope/hopscope/discovery"
)

// maxHostsBytes is how much of a hosts file is read. Files that block advertisements have
// megabytes.
const maxHostsBytes = 16 << 20

// resolvConf reads the servers of resolv.conf(5), and the absolute names that
// a name may stand for, in the order to try them. A file that says nothing, or
// is not there, stands for a server on this machine. An error is that it may well say
// something, but this process lacks the means to read it.
func resolvConf(path, port, name string) (servers, names []string, err error) {
	config, err := dns.ClientConfigFromFile(path)
	switch {
	case discovery.Short(err):
		return nil, nil, err
	case err != nil:
		config = &dns.ClientConfig{Ndots: 1}
	}
	for _, server := range config.Servers {
		servers = append(servers, net.JoinHostPort(server, port))
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1:" + port, "[::1]:" + port}
	}
	for _, name := range config.NameList(name) {
		if _, ok := dns.IsDomainName(name); ok { // the search list may have anything in it
			names = append(names, dns.CanonicalName(name))
		}
	}
	return servers, names, nil
}

// localAddresses lists the addresses that a host has without asking anyone: it
// is one, it stands in the file of hosts, or it is localhost (RFC 6761, section
// 6.3). An error is that this process lacks the means to read the file: then nobody is
// to be asked either, who may not know the host.
func localAddresses(path, name string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	name = strings.TrimSuffix(name, ".")
	file, err := os.Open(path)
	if discovery.Short(err) {
		return nil, err
	}
	if err == nil {
		defer file.Close()
		if data, err := io.ReadAll(io.LimitReader(file, maxHostsBytes)); err == nil {
			if list := hostAddresses(string(data), name); len(list) > 0 {
				return list, nil
			}
		}
	}
	if lower := strings.ToLower(name); lower == "localhost" || strings.HasSuffix(lower, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	return nil, nil
}

// hostAddresses lists the addresses of a host in the text of a hosts(5) file.
// Lines that can not be read are passed over, as everyone does.
func hostAddresses(text, name string) []netip.Addr {
	var list []netip.Addr
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, host := range fields[1:] {
			if strings.EqualFold(strings.TrimSuffix(host, "."), name) {
				if ip, err := netip.ParseAddr(fields[0]); err == nil {
					list = append(list, ip.Unmap())
				}
				break
			}
		}
	}
	return list
}
