package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// haproxy is an haproxy.cfg that is being converted.
type haproxy struct {
	*draft
	maxconn  int    // the most connections that anything of it allows
	global   haLine // maxconn of all of it
	backends map[string]*haSection
	// What is told once.
	hostNoted, headerNoted, timeoutNoted, breakerNoted bool
}

// HAProxy converts an haproxy.cfg. name stands for the file in notes and errors.
func HAProxy(name string, data []byte) (*Result, error) {
	h := &haproxy{draft: newDraft(name), backends: map[string]*haSection{}}
	r := haReader{haproxy: h, defaults: map[string]haSettings{}, latest: newSettings()}
	if err := r.read(string(data)); err != nil {
		return nil, err
	}
	for _, s := range r.sections {
		if s.kind == "backend" || s.kind == "listen" {
			h.backends[s.name] = s
		}
	}
	for _, s := range r.sections {
		if s.kind == "frontend" || s.kind == "listen" {
			h.frontend(s)
		}
	}
	for _, s := range r.sections {
		if s.kind == "backend" || s.kind == "listen" && len(s.servers) > 0 {
			h.backend(s)
		}
	}
	return h.finish("# Converted from HAProxy's " + oneLine(name) + ".\n")
}

// globalLine reads a line of the global section.
func (h *haproxy) globalLine(l haLine) {
	switch w := l.words[0]; {
	case w == "maxconn":
		h.global = l
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
		s.maxconn = l
		h.maxconn = max(h.maxconn, number(l.word(1)))
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
		s.timeouts["queue"], s.queue = d, l
	case "tunnel":
		h.left(l.n, l.text, "the listener's stream_idle_timeout is for tunnels as well: a route with match: {headers: {upgrade: {present: true}}} may have an idle_timeout of its own")
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
		"socket-stats", "http-use-htx", "http-no-delay", "http-server-close", "httpclose", "forceclose", "nolinger", "independent-streams", "http-pretend-keepalive",
		"http-tunnel", "http-ignore-probes", "idle-close-on-response":
		// hopscope does so always, or it is about connections that it sees to by itself.
	case "persist":
		h.left(l.n, l.text, "who has the cookie of a server that is down gets another one")
	case "forwardfor", "httpchk", "tcp-check", "allbackups", "abortonclose":
		s.options[name] = l
	case "checkcache":
		h.left(l.n, l.text, "responses with cookies that a cache may keep are not held back")
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
	case "stick", "stick-table":
		if s.kind == "frontend" {
			h.left(l.n, l.text, "hopscope counts nothing by client")
			return
		}
		if w == "stick-table" {
			s.table = l
			return
		}
		s.sticks = append(s.sticks, l)
	case "dynamic-cookie-key": // hopscope's cookies need no key
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
		"tcp-request":  "hopscope has no rules for connections: see clients of a match",
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
