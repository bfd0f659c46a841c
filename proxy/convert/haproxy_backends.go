package convert

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// server is a server line, with the default-server lines before it.
type server struct {
	haLine
	name, address string
	options       map[string]string
}

// backend makes a cluster of a backend.
func (h *haproxy) backend(s *haSection) {
	if s.mode != "http" {
		h.left(s.line, s.kind+" "+s.name, "hopscope proxies HTTP only: the section is in mode %s", s.mode)
		return
	}
	c := config.NewCluster()
	c.Protocol = "http1"
	if d := s.timeouts["connect"]; d > 0 {
		c.ConnectTimeout = d
	}
	if d := s.timeouts["server"]; d > 0 && !h.timeoutNoted {
		h.timeoutNoted = true
		h.differs(s.line, "timeout server", "it is the time for a whole response of a route here, not between two bytes")
	}
	servers := h.servers(s)
	sticks := h.sticks(s)
	if !h.haEndpoints(&c, s, servers) {
		return
	}
	h.haBalance(&c, s, sticks)
	h.checks(&c, s, servers)
	h.haOutlier(&c, servers)
	h.haRetry(&c, s)
	if !h.serverTLS(&c, servers) {
		return
	}
	h.limits(&c, s, servers)
	h.addCluster(s.name, c, origin{s.line, s.kind + " " + s.name})
}

// serverArguments are the options of a server that have a value.
var serverArguments = map[string]bool{
	"weight": true, "maxconn": true, "inter": true, "fastinter": true, "downinter": true, "fall": true, "rise": true, "port": true, "addr": true, "cookie": true, "ca-file": true,
	"crt": true, "crl-file": true, "sni": true, "verify": true, "verifyhost": true, "alpn": true, "proto": true, "slowstart": true, "minconn": true, "maxqueue": true, "observe": true,
	"error-limit": true, "on-error": true, "on-marked-down": true, "on-marked-up": true, "resolvers": true, "resolve-prefer": true, "init-addr": true, "check-sni": true, "check-alpn": true,
	"check-proto": true, "ciphers": true, "ciphersuites": true, "ssl-min-ver": true, "ssl-max-ver": true, "track": true, "source": true, "agent-port": true, "agent-inter": true, "agent-addr": true,
	"agent-send": true, "id": true, "pool-max-conn": true, "pool-purge-delay": true, "pool-low-conn": true, "tcp-ut": true, "namespace": true, "max-reuse": true, "redir": true, "ws": true,
	"resolve-opts": true, "resolve-net": true, "log-proto": true, "interface": true, "socks4": true, "set-proxy-v2-tlv-fmt": true, "proxy-v2-options": true, "hash-key": true,
}

// moot are options of a server that need no word.
var moot = []string{
	"check", "ssl", "backup", "init-addr", "resolvers", "resolve-prefer", "resolve-opts", "fastinter", "downinter", "on-error", "pool-max-conn", "pool-purge-delay",
	"pool-low-conn", "id", "max-reuse", "check-ssl", "no-check-ssl", "no-check", "non-stick", "enabled", "check-alpn", "check-proto", "tfo", "no-backup", "no-ssl", "alpn",
	"weight", "maxconn", "inter", "fall", "rise", "port", "cookie", "ca-file", "crt", "crl-file", "sni", "verify", "proto", "slowstart", "observe", "error-limit", "ssl-min-ver", "ssl-max-ver",
	"no-sslv3", "no-tlsv10", "no-tlsv11", "check-sni", "disabled", "no-tls-tickets", "no-ssl-reuse", "force-tlsv12", "force-tlsv13", "allow-0rtt", "verifyhost", "ws",
}

func (h *haproxy) servers(s *haSection) (all []server) {
	for _, l := range s.servers {
		v := server{haLine: l, name: l.word(1), address: l.word(2), options: map[string]string{}}
		rest := 3
		if l.words[0] == "server-template" {
			v.address, rest = l.word(3), 4
		}
		for i, words := range [][]string{s.defaultServer, l.words[min(rest, len(l.words)):]} {
			for j := 0; j < len(words); j++ {
				name, value := words[j], ""
				if serverArguments[name] && j+1 < len(words) {
					j++
					value = words[j]
				}
				if !slices.Contains(moot, name) {
					h.left(l.n, l.text, "%s: hopscope has no such option of an endpoint", strings.TrimSpace(name+" "+value))
				}
				if positive, ok := strings.CutPrefix(name, "no-"); ok && i == 1 {
					delete(v.options, positive)
				}
				v.options[name] = value
			}
		}
		all = append(all, v)
	}
	return all
}

func (v *server) has(option string) bool {
	_, ok := v.options[option]
	return ok
}

// idle reports whether a server gets no traffic.
func (v *server) idle() bool { return v.has("disabled") || v.options["weight"] == "0" }

// haEndpoints converts where the endpoints are.
func (h *haproxy) haEndpoints(c *config.Cluster, s *haSection, servers []server) bool {
	if len(servers) == 1 && servers[0].words[0] == "server-template" {
		v := servers[0]
		host, port, _ := strings.Cut(v.address, ":")
		c.DNS = config.NewDNS(host, number(port))
		if strings.HasPrefix(host, "_") {
			c.DNS.Type, c.DNS.Port = "srv", 0
		}
		return true
	}
	_, allBackups := s.options["allbackups"]
	backups := 0
	for _, v := range servers {
		switch {
		case v.words[0] == "server-template":
			h.left(v.n, v.text, "a cluster has either one server-template or servers")
			continue
		case v.idle():
			h.left(v.n, v.text, "a server without traffic is left out")
			continue
		case strings.HasPrefix(v.address, "/") || strings.Contains(v.address, "@"):
			h.left(v.n, v.text, "endpoints are TCP addresses")
			continue
		}
		address := v.address
		if ip, err := netip.ParseAddr(address); err == nil || !strings.Contains(address, ":") {
			_ = ip
			h.left(v.n, v.text, "without a port HAProxy takes that of the client's connection: write one")
			continue
		}
		e := config.NewStaticEndpoint(address)
		if w := v.options["weight"]; w != "" {
			e.Weight = number(w)
		}
		if v.has("backup") {
			if backups++; allBackups {
				e.Priority = 1
			} else {
				e.Priority = backups
			}
		}
		c.Static = append(c.Static, e)
	}
	if len(c.Static) == 0 {
		h.left(s.line, s.kind+" "+s.name, "it has no servers that can be said")
		return false
	}
	for first := c.Static[0].Priority; first > 0; first-- { // backups alone
		for i := range c.Static {
			c.Static[i].Priority--
		}
	}
	if backups > 0 {
		c.Balance.Overprovisioning = 100 // backups are for when all others are down
	}
	if !slices.ContainsFunc(c.Static, func(e config.StaticEndpoint) bool { return e.Weight != 1 || e.Priority != 0 }) {
		for _, e := range c.Static {
			c.Endpoints = append(c.Endpoints, e.Address)
		}
		c.Static = nil
	}
	return true
}

func (h *haproxy) haBalance(c *config.Cluster, s *haSection, sticks []config.HashOn) {
	b, l := &c.Balance, s.balance
	on := config.NewHashOn()
	switch policy, argument, _ := strings.Cut(strings.TrimSuffix(l.word(1), ")"), "("); policy {
	case "", "roundrobin", "static-rr":
	case "leastconn":
		b.Policy = "least_request"
	case "random":
		b.Policy = "random"
		if argument != "" {
			b.Policy, b.Choices = "least_request", max(2, number(argument))
		}
	case "source":
		on.Source = true
	case "uri":
		if on.Path = true; len(l.words) > 2 {
			h.differs(l.n, l.text, "the whole path is hashed")
		}
	case "hdr":
		on.Header = argument
	case "url_param":
		on.Query = l.word(2)
	default:
		h.left(l.n, l.text, "hopscope has no such policy: the cluster has round_robin")
	}
	if on != config.NewHashOn() {
		b.Policy, b.Hash = "ring_hash", []config.HashOn{on}
		h.differs(l.n, l.text, "the same requests stay together, but on another server than before")
	}
	if len(sticks) > 0 {
		b.Policy, b.Hash = "ring_hash", sticks
	}
	if s.factor > 100 && len(b.Hash) > 0 {
		b.BoundedLoad = float64(s.factor) / 100
	}
	for _, v := range s.servers {
		if at := slices.Index(v.words, "slowstart"); at > 0 {
			if d, err := haDuration(v.word(at + 1)); err == nil && d > 0 {
				b.SlowStart = config.NewSlowStart()
				b.SlowStart.Window = d
			}
		}
	}
}

// checks converts health checks.
func (h *haproxy) checks(c *config.Cluster, s *haSection, servers []server) {
	at := slices.IndexFunc(servers, func(v server) bool { return v.has("check") && !v.has("no-check") })
	if at < 0 {
		return
	}
	v := servers[at]
	for _, other := range servers {
		if !other.has("check") {
			h.differs(other.n, other.text, "its cluster has a check for all endpoints")
		}
	}
	x := config.NewHealthCheck()
	x.Interval, x.UnhealthyThreshold, x.HealthyThreshold = 2*time.Second, 3, 2
	if d, err := haDuration(v.options["inter"]); err == nil && v.has("inter") {
		x.Interval = d
	}
	x.NoTrafficInterval = x.Interval
	if n := number(v.options["fall"]); n > 0 {
		x.UnhealthyThreshold = n
	}
	if n := number(v.options["rise"]); n > 0 {
		x.HealthyThreshold = n
	}
	x.Port, x.Timeout = number(v.options["port"]), x.Interval
	if d := s.timeouts["check"]; d > 0 {
		x.Timeout = d
	} else if d := s.timeouts["connect"]; d > 0 {
		x.Timeout = min(x.Timeout, d)
	}
	if l, ok := s.options["httpchk"]; ok {
		x.HTTP = h.httpCheckOf(s, l)
		h.differs(l.n, l.text, "an unexpected status takes an endpoint out at once")
	} else {
		x.TCP = &config.TCPCheck{}
		for _, l := range s.httpCheck {
			h.left(l.n, l.text, "without option httpchk it does nothing")
		}
	}
	c.HealthChecks = []config.HealthCheck{x}
	c.Balance.PanicThreshold = 0 // HAProxy knows no panic
}

func (h *haproxy) httpCheckOf(s *haSection, l haLine) *config.HTTPCheck {
	x := config.NewHTTPCheck("/")
	x.Method, x.Statuses = "OPTIONS", []string{"200-399"}
	switch len(l.words) {
	case 2:
	case 3:
		x.Path = l.word(2)
	default:
		x.Method, x.Path = l.word(2), l.word(3)
	}
	for i, w := range l.words { // the old form: "HTTP/1.1\r\nHost: x"
		if strings.HasPrefix(w, "HTTP/") && i > 3 {
			_, host, ok := strings.Cut(strings.Join(l.words[i:], " "), "Host:")
			if ok {
				x.Host = strings.TrimSpace(strings.TrimSuffix(host, `\r\n`))
			}
		}
	}
	for _, c := range s.httpCheck {
		h.httpCheckLine(x, c)
	}
	return x
}

func (h *haproxy) httpCheckLine(x *config.HTTPCheck, c haLine) {
	switch c.word(1) {
	case "send":
		for i := 2; i+1 < len(c.words); i += 2 {
			switch c.words[i] {
			case "meth":
				x.Method = c.words[i+1]
			case "uri":
				x.Path = c.words[i+1]
			case "ver":
			case "hdr":
				if strings.EqualFold(c.words[i+1], "host") {
					x.Host = c.word(i + 2)
				} else {
					if x.Headers == nil {
						x.Headers = map[string]string{}
					}
					x.Headers[c.words[i+1]] = c.word(i + 2)
				}
				i++
			default:
				h.left(c.n, c.text, "%q of a check can't be said", c.words[i])
			}
		}
	case "expect":
		rest := c.from(2)
		switch {
		case len(rest) == 2 && rest[0] == "status":
			x.Statuses = strings.Split(rest[1], ",")
		case len(rest) == 2 && rest[0] == "string":
			x.Body = rest[1]
		case len(rest) == 2 && rest[0] == "rstatus" && strings.Trim(rest[1], "^[]23()|x.0-9$") == "":
			x.Statuses = classes(rest[1])
		default:
			h.left(c.n, c.text, "only a status, or a string, can be expected")
		}
	default:
		h.left(c.n, c.text, "hopscope has no such step of a check")
	}
}

// classes are the statuses of an expression such as (2|3)[0-9][0-9]: the classes that it
// names.
func classes(regex string) (all []string) {
	for class := range 5 {
		digit := strconv.Itoa(class + 1)
		if head := regex[:min(len(regex), 6)]; strings.Contains(head, digit) {
			all = append(all, digit+"00-"+digit+"99")
		}
	}
	return all
}

func (h *haproxy) haRetry(c *config.Cluster, s *haSection) {
	if s.retries < 0 && s.retryOn == nil {
		return
	}
	r := config.NewRetry()
	r.Attempts = 4
	if s.retries >= 0 {
		r.Attempts = s.retries + 1
	}
	words := s.retryOn
	if words == nil {
		words = []string{"conn-failure"}
	}
	add := func(on ...string) {
		for _, w := range on {
			if !slices.Contains(r.On, w) {
				r.On = append(r.On, w)
			}
		}
	}
	for _, w := range words {
		switch w {
		case "none", "0rtt-rejected":
		case "conn-failure":
			add("connect-failure")
		case "empty-response", "response-timeout", "junk-response":
			add("reset")
		case "all-retryable-errors":
			add("connect-failure", "reset", "retriable-status-codes")
			r.Statuses = append(r.Statuses, 500, 502, 503, 504)
		default:
			add("retriable-status-codes")
			r.Statuses = append(r.Statuses, number(w))
		}
	}
	if len(r.On) == 0 {
		r.Attempts = 1
	}
	c.Retry = r
}
