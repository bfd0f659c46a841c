package convert

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// addresses are those of a bind line: several, with commas.
func addresses(text string) (all []string, err error) {
	for a := range strings.SplitSeq(text, ",") {
		host, port := "", a
		if i := strings.LastIndexByte(a, ':'); i >= 0 {
			host, port = a[:i], a[i+1:]
		}
		for _, family := range []string{"ipv4@", "ipv6@"} {
			host = strings.TrimPrefix(host, family)
		}
		if strings.HasPrefix(a, "/") || strings.Contains(a, "@") {
			return nil, errorf("hopscope listens on TCP ports only")
		}
		if n, err := strconv.Atoi(port); err != nil || n <= 0 || n > 65535 {
			return nil, errorf("%q is no single port", port)
		}
		if host == "*" {
			host = ""
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
			host = "[" + host + "]"
		}
		all = append(all, host+":"+port)
	}
	return all, nil
}

// frontend makes a listener of each address of a frontend.
func (h *haproxy) frontend(s *haSection) {
	if s.mode != "http" {
		h.left(s.line, s.kind+" "+s.name, "hopscope proxies HTTP only: the section is in mode %s", s.mode)
		return
	}
	if s.kind == "listen" && len(s.servers) == 0 && len(s.uses) == 0 && s.fallback == "" && len(s.rules) == 0 {
		h.left(s.line, s.kind+" "+s.name, "it has no servers: the admin API has statistics")
		return
	}
	before := len(h.Listeners)
	for _, bind := range s.binds {
		all, err := addresses(bind.word(1))
		if err != nil {
			h.left(bind.n, bind.text, "%v", err)
			continue
		}
		tls, ok := h.bindTLS(bind)
		if !ok {
			continue
		}
		for _, address := range all {
			name := s.name
			if len(s.binds)+len(all) > 2 {
				name += "-" + address[strings.LastIndexByte(address, ':')+1:]
			}
			for slices.ContainsFunc(h.Listeners, func(l config.Listener) bool { return l.Name == name }) {
				name += "-2"
			}
			l := config.NewListener(name, address)
			l.TLS = tls
			l.MaxConnections = h.maxConnections(s, bind)
			if h.listener(&l, s); h.opens(&l, origin{bind.n, bind.text}) {
				h.routes(&l, s)
				h.listen(l)
			}
		}
	}
	if len(s.binds) == 0 {
		h.left(s.line, s.kind+" "+s.name, "it has no address")
	}
	h.tellMaxConnections(s, len(h.Listeners)-before)
}

// listener sets what a frontend says of all of its addresses.
func (h *haproxy) listener(l *config.Listener, s *haSection) {
	l.GRPCWeb = false
	l.Path = config.Path{EscapedSlashes: "keep"}
	if d := s.timeouts["client"]; d > 0 {
		l.StreamIdleTimeout, l.IdleTimeout = d, d
	}
	if d := s.timeouts["http-request"]; d > 0 {
		l.RequestHeadTimeout, l.IdleTimeout = d, d
	}
	if d := s.timeouts["http-keep-alive"]; d > 0 {
		l.IdleTimeout = d
	}
	if _, ok := s.options["abortonclose"]; ok {
		l.AbortOnClose = "always"
	}
	if o, ok := s.options["forwardfor"]; !ok {
		l.Forwarded.XForwarded = "pass"
	} else if len(o.words) > 2 {
		h.differs(o.n, o.text, "every request has X-Forwarded-For, under this name")
	}
}

// bindTLS converts the TLS of a bind line; ok is false if the address is left out.
func (h *haproxy) bindTLS(l haLine) (t *config.ListenerTLS, ok bool) {
	words := l.from(2)
	tls := config.NewListenerTLS("", "")
	tls.Certificates = nil
	tls.ALPN = []string{"h2", "http/1.1"}
	ssl := false
	for i := 0; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch words[i] {
		case "ssl":
			ssl = true
		case "crt":
			tls.Certificates = append(tls.Certificates, config.Certificate{Cert: value, Key: value})
			i++
		case "alpn":
			tls.ALPN = strings.Split(value, ",")
			i++
		case "ca-file":
			tls.ClientCA = value
			i++
		case "crl-file":
			tls.CRL = value
			i++
		case "verify":
			if tls.ClientAuth = map[string]string{"optional": "request", "required": "require"}[value]; tls.ClientAuth == "" {
				tls.ClientAuth = "none"
			}
			i++
		case "ssl-min-ver", "ssl-max-ver":
			v := strings.TrimPrefix(value, "TLSv")
			if v != "1.2" && v != "1.3" {
				h.left(l.n, l.text, "hopscope has TLS 1.2 and 1.3")
			} else if words[i] == "ssl-min-ver" {
				tls.MinVersion = v
			} else {
				tls.MaxVersion = v
			}
			i++
		case "name", "id", "process", "thread", "backlog", "nice", "mss", "tcp-ut", "shards":
			i++
		case "maxconn": // see maxConnections
			i++
		case "interface":
			h.left(l.n, l.text, "hopscope listens on addresses, not on interfaces: give the interface's address; this one is left out")
			return nil, false
		case "v4v6", "defer-accept", "tfo", "no-tls-tickets", "no-sslv3", "no-tlsv10", "no-tlsv11", "prefer-client-ciphers":
			if words[i] == "no-tls-tickets" {
				tls.SessionTickets = false
			}
		case "ciphers", "ciphersuites", "curves", "ecdhe":
			h.left(l.n, l.text, "%s: Go chooses the ciphers", words[i])
			i++
		case "accept-proxy":
			h.left(l.n, l.text, "hopscope does not read the PROXY protocol: the address is left out")
			return nil, false
		default:
			h.left(l.n, l.text, "%s: hopscope has no such setting of an address", words[i])
		}
	}
	if !ssl {
		return nil, true
	}
	for _, c := range tls.Certificates {
		if strings.HasSuffix(c.Cert, "/") || !strings.Contains(c.Cert[strings.LastIndexByte(c.Cert, '/')+1:], ".") {
			h.left(l.n, l.text, "crt has to be a file with the certificate and its key, not a directory: the address is left out")
			return nil, false
		}
	}
	if len(tls.Certificates) == 0 {
		h.left(l.n, l.text, "it has no certificate (crt): the address is left out")
		return nil, false
	}
	return tls, true
}
