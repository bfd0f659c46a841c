package route

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Match is what a request must have for a route; what is empty is not asked.
type Match struct {
	Path         string                 // the whole path
	PathPrefix   string                 // how the path begins
	PathSegments string                 // the path, or segments that it begins with: /a is not /ab
	PathRegex    *Regex                 // the whole path
	PathTemplate *pathtemplate.Template // the whole path
	Hosts        []string               // hosts without port; "*.x" is every name below x
	Methods      []string               // methods, in upper case
	Preflights   bool                   // a CORS preflight counts as the method that it asks for
	Headers      []Value                // fields; several lines of one are joined by commas
	Query        []Value                // parameters of the query, as they were sent; the first of a name
	Cookies      []Value                // cookies; the first of a name
	Clients      []netip.Prefix         // networks of clients
	// Identities reports whether the certificate of a client, which is verified, is of one
	// who is meant; nil asks for none.
	Identities func(*x509.Certificate) bool
	GRPC       *Call // gRPC calls; nil asks for none
	// Share is the share of the requests, nil is all.
	Share *Share
	// Not has conditions none of which may hold. It has no Share and no Not.
	Not *Match
}

// Call is what a gRPC call must be.
type Call struct {
	Service string // with its package; "" is any
	Method  string // "" is any
}

// Share is a share of requests by chance, in millionths.
type Share uint32

// Percent returns a share in per cent.
func Percent(p float64) *Share {
	s := Share(p*shares/100 + 0.5)
	return &s
}

// shares are all requests.
const shares = 1_000_000

// Request is what routes are matched against.
type Request struct {
	Head *message.Head
	// The rest need not be set if the table does not ask for it.

	// Client is the client's address.
	Client netip.Addr
	// Certificate is what the client showed of itself, and is verified; nil for none.
	Certificate *x509.Certificate
	// Random is a random number.
	Random uint64
}

// Asks is what of a [Request] a table asks for beside the head.
type Asks uint8

// What a table may ask for.
const (
	AsksClient Asks = 1 << iota
	AsksCertificate
	AsksRandom
)

// Table is a list of routes of which the first that matches is taken. To find
// it costs about the same in a table of ten thousand as in one of ten.
type Table struct {
	nodes      []packed
	text       []byte // of the nodes
	candidates []candidate
	found      []found
	methods    [][]string
	conditions []condition
	asked      []uint32 // the conditions of the candidates
	anyHost    uint32   // the root of a tree of paths, and one: what no host is asked for; 0 for none
	hosts      uint32   // the root of the tree of hosts, and one: the rest; 0 for none
	asks       Asks
}

// Compile makes a table; the index of a match is what [Table.Match] returns.
func Compile(matches []Match) *Table {
	t := &Table{}
	var anyHost *paths
	var hosts *hosts
	for i := range matches {
		m := &matches[i]
		if m.Path != "" && !strings.HasPrefix(m.Path, m.PathPrefix) {
			continue // no path is both
		}
		c := choice{index: i, methods: slices.Clone(m.Methods), preflights: m.Preflights}
		keys := m.keys()
		c.conditions = keys.conditions(m)
		for k := range c.conditions {
			t.asks |= c.conditions[k].asks()
		}
		if len(m.Hosts) == 0 {
			anyHost = anyHost.with(keys, c)
		}
		for _, host := range m.Hosts {
			hosts = hosts.with(host, keys, c)
		}
	}
	p := newPacker(t)
	anyHost.index()
	t.anyHost = p.pathTree(anyHost)
	if hosts != nil {
		hosts.each(func(h *hostPaths) {
			h.below.index()
			h.exact.index()
		})
		t.hosts = 1 + p.hostTree(hosts)
	}
	p.settle()
	return t
}

// Asks is what the table asks for beside the head.
func (t *Table) Asks() Asks { return t.asks }

// Match returns the index of the first route that the request matches, -1 if
// none does. It allocates nothing, unless Identities does.
func (t *Table) Match(q *Request) int {
	first := uint32(none)
	if t.anyHost != 0 {
		first = t.firstOfPath(t.anyHost-1, q, q.Head.Path(), first)
	}
	if t.hosts != 0 {
		first = t.firstOfHost(t.hosts-1, q, first)
	}
	if first == none {
		return -1
	}
	return int(first)
}
