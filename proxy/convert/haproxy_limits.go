package convert

import (
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
)

// maxServerConnections is what the servers of a backend take at once, by their maxconn, and
// the first of them; 0 if one of them takes any number.
func (h *haproxy) maxServerConnections(servers []server) (sum int, first server) {
	servers = slices.DeleteFunc(slices.Clone(servers), func(v server) bool { return v.idle() })
	active := slices.DeleteFunc(slices.Clone(servers), func(v server) bool { return v.has("backup") })
	if len(active) == 0 {
		active = servers
	}
	at := slices.IndexFunc(active, func(v server) bool { return number(v.options["maxconn"]) > 0 })
	if at < 0 {
		return 0, first
	}
	for _, v := range active {
		n := number(v.options["maxconn"])
		if n == 0 {
			h.left(active[at].n, active[at].text, "maxconn: the limit is of the cluster, and the server %s has none", v.name)
			return 0, first
		}
		sum += n * v.slots()
	}
	return sum, active[at]
}

// slots is how many servers a line stands for.
func (v *server) slots() int {
	if v.words[0] != "server-template" {
		return 1
	}
	first, last := 1, 0
	text := v.word(2)
	if i := slices.Index([]byte(text), '-'); i >= 0 {
		first, text = number(text[:i]), text[i+1:]
	}
	last = number(text)
	return max(1, last-first+1)
}

// limits converts how much a cluster carries at once.
func (h *haproxy) limits(c *config.Cluster, s *haSection, servers []server) {
	b := &c.CircuitBreaker
	if h.maxconn == 0 && !h.breakerNoted {
		h.breakerNoted = true
		h.differs(s.line, s.kind+" "+s.name, "without maxconn a cluster takes %d connections and requests at once: see circuit_breaker", b.MaxRequests)
	}
	if h.maxconn > b.MaxConnections {
		b.MaxConnections, b.MaxPending, b.MaxRequests = h.maxconn, h.maxconn, h.maxconn
	}
	sum, first := h.maxServerConnections(servers)
	if sum == 0 {
		return
	}
	if b.MaxConnections = sum; c.Protocol == "http2" {
		b.MaxRequests = sum
	}
	h.differs(first.n, first.text, "maxconn is of the cluster, for all endpoints together: %d", sum)
}

// queue has requests wait that are too many for a backend's servers.
func (h *haproxy) queue(b *haSection, r *config.Route) {
	sum, _ := h.maxServerConnections(h.servers(b))
	wait := b.timeouts["queue"]
	if wait == 0 {
		wait = b.timeouts["connect"]
	}
	if sum == 0 || wait == 0 {
		return
	}
	r.MaxRequests, r.Queue = sum, config.NewQueue()
	r.Queue.Max, r.Queue.MaxWait = max(h.maxconn, config.NewCluster().CircuitBreaker.MaxPending), wait
	if l := b.queue; l.n > 0 {
		h.differs(l.n, l.text, "each route has a queue of its own, for what is beyond the maxconn of its servers")
	}
}

// maxConnections is the limit of a listener: the least of those of its address, of its
// frontend and of all; 0 if there is none.
func (h *haproxy) maxConnections(s *haSection, bind haLine) (least int) {
	limits := []int{number(s.maxconn.word(1)), number(h.global.word(1))}
	if at := slices.Index(bind.words, "maxconn"); at > 0 {
		limits = append(limits, number(bind.word(at+1)))
	}
	for _, n := range limits {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// tellMaxConnections notes limits that are for several listeners together.
func (h *haproxy) tellMaxConnections(s *haSection, listeners int) {
	if own := s.maxconn; own.n > 0 && listeners > 1 {
		h.differs(own.n, own.text, "each listener has this limit for itself, and %s is %d of them", s.name, listeners)
	}
	if l := h.global; l.n > 0 && len(h.Listeners) > 1 {
		h.differs(l.n, l.text, "each listener has this limit for itself")
	}
}
