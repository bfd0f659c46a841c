package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
)

// haproxy is an haproxy.cfg that is being converted.
type haproxy struct {
	*draft
	maxconn  int // the most connections that anything of it allows
	backends map[string]*haSection
	// What is told once.
	hostNoted, headerNoted, timeoutNoted bool
}

// haSection is a frontend, a backend, or a listen section, which is both.
type haSection struct {
	kind, name string
	line       int
	haSettings
	acls     map[string][]atom
	badACLs  map[string]error
	binds    []haLine
	rules    []haRule // what http-request and redirect say, in their order
	uses     []haRule // use_backend
	fallback string   // default_backend
	servers  []haLine
	headers  []haRule // changes of header fields
}

// haSettings are what a section has, or its defaults.
type haSettings struct {
	mode          string
	timeouts      map[string]time.Duration
	options       map[string]haLine
	balance       haLine
	cookie        haLine
	retries       int // -1: not said
	retryOn       []string
	defaultServer []string
	httpCheck     []haLine
	compression   []haLine
	monitor       haLine
	factor        int
	maxconn       int
}

// haLine is a line, as words.
type haLine struct {
	n     int
	text  string
	words []string
}

func (l haLine) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

// from are the words from one on.
func (l haLine) from(i int) []string { return l.words[min(i, len(l.words)):] }

// HAProxy converts an haproxy.cfg. name stands for the file in notes and errors.
func HAProxy(name string, data []byte) (*Result, error) {
	h := &haproxy{draft: newDraft(name), backends: map[string]*haSection{}}
	sections, err := h.sections(string(data))
	if err != nil {
		return nil, err
	}
	for _, s := range sections {
		if s.kind == "backend" || s.kind == "listen" {
			h.backends[s.name] = s
		}
	}
	for _, s := range sections {
		if s.kind == "frontend" || s.kind == "listen" {
			h.frontend(s)
		}
	}
	for _, s := range sections {
		if s.kind == "backend" || s.kind == "listen" && len(s.servers) > 0 {
			h.backend(s)
		}
	}
	return h.finish("# Converted from HAProxy's " + oneLine(name) + ".\n")
}

// sections reads the file.
func (h *haproxy) sections(text string) (all []*haSection, err error) {
	defaults := map[string]haSettings{}
	latest := newSettings()
	var settings *haSettings // of the section that is being read
	var current *haSection
	kind, skipped := "", false
	name := ""
	for i, raw := range strings.Split(text, "\n") {
		words, err := splitWords(raw)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", h.file, i+1, err)
		}
		if len(words) == 0 {
			continue
		}
		l := haLine{i + 1, strings.TrimSpace(raw), words}
		switch words[0] {
		case "global", "defaults", "frontend", "backend", "listen", "program", "peers", "resolvers", "userlist", "mailers", "cache", "ring", "http-errors", "fcgi-app", "log-forward":
			if kind == "defaults" {
				latest, defaults[name] = *settings, *settings
			}
			kind, name, current, skipped = words[0], l.word(1), nil, false
			from := latest
			if at := slices.Index(words, "from"); at > 0 && at+1 < len(words) {
				from = defaults[words[at+1]]
			}
			switch kind {
			case "global":
				s := newSettings()
				settings = &s
			case "defaults":
				s := newSettings()
				if slices.Contains(words, "from") {
					s = from.clone()
				}
				settings = &s
			case "frontend", "backend", "listen":
				current = &haSection{kind: kind, name: name, line: l.n, haSettings: from.clone(), acls: map[string][]atom{}, badACLs: map[string]error{}}
				settings = &current.haSettings
				all = append(all, current)
				if rest := l.from(2); len(rest) > 0 && rest[0] != "from" { // the old form: frontend NAME ADDRESS
					current.binds = append(current.binds, haLine{l.n, l.text, append([]string{"bind"}, rest...)})
				}
			default:
				skipped = true
				h.left(l.n, l.text, "%s", haSectionReasons[kind])
			}
			continue
		}
		switch {
		case kind == "":
			return nil, fmt.Errorf("%s:%d: expected a section such as frontend, found %q", h.file, l.n, words[0])
		case skipped:
		case kind == "global":
			h.globalLine(l)
		default:
			h.line(settings, current, l)
		}
	}
	return all, nil
}

var haSectionReasons = map[string]string{
	"program": "hopscope runs no other programs", "peers": "hopscope shares no state with others", "resolvers": "names are resolved by the system, or by dns.resolver of a cluster",
	"userlist": "hopscope asks for no passwords", "mailers": "hopscope sends no mail: see the alerts for Prometheus", "cache": "hopscope caches nothing",
	"ring": "hopscope has no rings", "http-errors": "see error_pages", "fcgi-app": "hopscope speaks no FastCGI", "log-forward": "hopscope forwards no logs",
}

func newSettings() haSettings {
	return haSettings{timeouts: map[string]time.Duration{}, options: map[string]haLine{}, retries: -1, mode: "tcp"}
}

func (s haSettings) clone() haSettings {
	c := s
	c.timeouts, c.options = map[string]time.Duration{}, map[string]haLine{}
	for k, v := range s.timeouts {
		c.timeouts[k] = v
	}
	for k, v := range s.options {
		c.options[k] = v
	}
	c.defaultServer, c.httpCheck, c.compression = slices.Clone(s.defaultServer), slices.Clone(s.httpCheck), slices.Clone(s.compression)
	return c
}

// splitWords splits a line as HAProxy does: quotes, backslashes, comments.
func splitWords(line string) (words []string, err error) {
	var b strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
			b.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(line):
			i++
			if !strings.ContainsRune(`"'\$# `, rune(line[i])) { // it is no escape
				b.WriteByte('\\')
			}
			b.WriteByte(line[i])
			in = true
		case quote == '"':
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == '#':
			i = len(line)
		case c == ' ' || c == '\t' || c == '\r':
			if in {
				words = append(words, b.String())
			}
			b.Reset()
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if in {
		words = append(words, b.String())
	}
	return words, nil
}

// globalLine reads a line of the global section.
func (h *haproxy) globalLine(l haLine) {
	switch w := l.words[0]; {
	case w == "maxconn":
		h.maxconn = max(h.maxconn, number(l.word(1)))
	case w == "log", w == "log-send-hostname", w == "log-tag":
		h.differs(l.n, l.text, "the access log goes to standard output: see telemetry.access_log")
	case strings.HasPrefix(w, "tune."), slices.Contains([]string{
		"daemon", "chroot", "user", "group", "uid", "gid", "pidfile", "nbproc", "nbthread", "cpu-map", "master-worker", "stats", "unix-bind", "spread-checks",
		"node", "description", "ulimit-n", "quiet", "set-dumpable", "maxpipes", "zero-warning", "numa-cpu-mapping", "thread-groups",
	}, w):
		// It is about how HAProxy's process runs.
	default:
		h.left(l.n, l.text, "%s", haReason(w))
	}
}

// line reads a line of a section, or of defaults, which has no section.
func (h *haproxy) line(s *haSettings, section *haSection, l haLine) {
	switch w := l.words[0]; w {
	case "mode":
		s.mode = l.word(1)
	case "timeout":
		h.timeoutLine(s, l)
	case "option", "no":
		h.optionLine(s, l)
	case "balance":
		s.balance = l
	case "hash-type", "log", "log-format", "log-tag", "description", "id", "guid", "backlog", "fullconn", "unique-id-format", "unique-id-header", "http-reuse", "email-alert", "error-log-format":
		if w == "unique-id-header" {
			h.left(l.n, l.text, "x-request-id has the id of the request")
		}
	case "hash-balance-factor":
		s.factor = number(l.word(1))
	case "retries":
		s.retries = number(l.word(1))
	case "retry-on":
		s.retryOn = l.from(1)
	case "default-server":
		s.defaultServer = append(s.defaultServer, l.from(1)...)
	case "http-check":
		s.httpCheck = append(s.httpCheck, l)
	case "compression":
		s.compression = append(s.compression, l)
	case "monitor-uri":
		s.monitor = l
	case "maxconn":
		s.maxconn = number(l.word(1))
		h.maxconn = max(h.maxconn, s.maxconn)
	case "cookie":
		s.cookie = l
	default:
		if section == nil {
			h.left(l.n, l.text, "%s", haReason(w))
			return
		}
		h.sectionLine(section, l)
	}
}

func (h *haproxy) timeoutLine(s *haSettings, l haLine) {
	d, err := haDuration(l.word(2))
	if err != nil {
		h.left(l.n, l.text, "%v", err)
		return
	}
	switch l.word(1) {
	case "connect", "server", "client", "http-request", "http-keep-alive", "check":
		s.timeouts[l.word(1)] = d
	case "client-fin", "server-fin":
	case "queue":
		h.differs(l.n, l.text, "a request waits for a connection as long as its route's timeout says")
	case "tunnel":
		h.left(l.n, l.text, "the listener's stream_idle_timeout is for tunnels as well")
	default:
		h.left(l.n, l.text, "hopscope has no such timeout")
	}
}

// haDuration reads a time, in milliseconds unless it has a unit.
func haDuration(text string) (time.Duration, error) {
	unit := strings.TrimLeft(text, "0123456789")
	n, err := strconv.Atoi(strings.TrimSuffix(text, unit))
	units := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	if err != nil || units[unit] == 0 {
		return 0, fmt.Errorf("%q is no time", text)
	}
	return time.Duration(n) * units[unit], nil
}

func (h *haproxy) optionLine(s *haSettings, l haLine) {
	name := l.word(1)
	if l.words[0] == "no" {
		delete(s.options, l.word(2))
		return
	}
	switch name {
	case "httplog", "tcplog", "dontlognull", "dontlog-normal", "log-health-checks", "log-separate-errors", "logasap", "http-keep-alive", "redispatch",
		"prefer-last-server", "splice-auto", "splice-request", "splice-response", "tcp-smart-accept", "tcp-smart-connect", "tcpka", "clitcpka", "srvtcpka", "contstats",
		"socket-stats", "http-use-htx", "http-no-delay", "http-server-close", "httpclose", "forceclose", "nolinger", "independent-streams", "persist", "http-pretend-keepalive",
		"http-tunnel", "http-ignore-probes", "idle-close-on-response", "checkcache":
		// hopscope does so always, or it is about connections that it sees to by itself.
	case "forwardfor", "httpchk", "tcp-check", "allbackups", "abortonclose":
		s.options[name] = l
	default:
		h.left(l.n, l.text, "hopscope has no such option")
	}
}

// sectionLine reads a line that only a section has.
func (h *haproxy) sectionLine(s *haSection, l haLine) {
	switch w := l.words[0]; w {
	case "bind":
		s.binds = append(s.binds, l)
	case "acl":
		atoms, err := parseAtom(l.from(2))
		if err != nil {
			s.badACLs[l.word(1)] = err
			h.left(l.n, l.text, "%v", err)
			return
		}
		s.acls[l.word(1)] = append(s.acls[l.word(1)], atoms)
	case "use_backend":
		s.uses = append(s.uses, haRule{haLine: l, action: []string{"use_backend", l.word(1)}, condition: l.from(2)})
	case "default_backend":
		s.fallback = l.word(1)
	case "server", "server-template":
		s.servers = append(s.servers, l)
	case "http-request", "redirect", "http-response", "http-after-response":
		h.ruleLine(s, l)
	case "disabled":
		h.left(l.n, l.text, "the section is converted as if it were enabled: remove it")
	case "enabled":
	default:
		h.left(l.n, l.text, "%s", haReason(w))
	}
}

func haReason(word string) string {
	reasons := map[string]string{
		"stick-table": "hopscope has no stick tables", "stick": "hopscope has no stick tables", "tcp-request": "hopscope has no rules for connections: see clients of a match",
		"tcp-response": "hopscope has no rules for connections", "errorfile": "it is a whole response: see error_pages, which have the content alone", "errorloc": "see error_pages",
		"errorloc302": "see error_pages", "errorloc303": "see error_pages", "errorfiles": "see error_pages", "stats": "see the admin API and its console", "filter": "hopscope has no such filter",
		"capture": "see telemetry.access_log for what a log line has", "declare": "hopscope captures nothing", "rate-limit": "hopscope has no rate limits", "http-error": "see error_pages",
		"lua-load": "hopscope runs no Lua", "lua-load-per-thread": "hopscope runs no Lua", "ca-base": "write whole paths", "crt-base": "write whole paths", "use-server": "hopscope does not choose a server by rules: see balance.subsets",
		"ssl-default-bind-ciphers": "Go chooses the ciphers", "ssl-default-bind-ciphersuites": "Go chooses the ciphers", "ssl-default-server-ciphers": "Go chooses the ciphers",
		"ssl-default-server-ciphersuites": "Go chooses the ciphers", "ssl-default-bind-options": "see tls.min_version, 1.2 by default", "ssl-default-server-options": "see tls.min_version, 1.2 by default",
		"monitor": "a listener's monitor does not depend on backends", "external-check": "hopscope runs no other programs", "dispatch": "hopscope has no such setting", "source": "hopscope does not choose its own address",
		"http-send-name-header": "hopscope does not send the name of the server", "force-persist": "hopscope has no such rule", "ignore-persist": "hopscope has no such rule",
	}
	if why := reasons[word]; why != "" {
		return why
	}
	return "hopscope has no such setting"
}

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
			if h.listener(&l, s); h.opens(&l, origin{bind.n, bind.text}) {
				h.routes(&l, s)
				h.listen(l)
			}
		}
	}
	if len(s.binds) == 0 {
		h.left(s.line, s.kind+" "+s.name, "it has no address")
	}
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
	l.MaxConnections = s.maxconn
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
		case "maxconn":
			h.left(l.n, l.text, "a limit of connections is the listener's: see max_connections")
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
