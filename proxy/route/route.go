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

// Has reports whether a request is in the share, by a random number of its own.
func (s Share) Has(random uint64) bool { return random%shares < uint64(s) }

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
	anyHost *paths // what no host is asked for, nil if there is none
	hosts   *hosts // the rest, nil if there is none
	asks    Asks
}

// Compile makes a table; the index of a match is what [Table.Match] returns.
func Compile(matches []Match) *Table {
	t := &Table{}
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
			t.anyHost = t.anyHost.with(keys, c)
		}
		for _, host := range m.Hosts {
			t.hosts = t.hosts.with(host, keys, c)
		}
	}
	t.anyHost.index()
	if t.hosts != nil {
		t.hosts.each(func(h *hostPaths) {
			h.below.index()
			h.exact.index()
		})
	}
	return t
}

// Asks is what the table asks for beside the head.
func (t *Table) Asks() Asks { return t.asks }

// Match returns the index of the first route that the request matches, -1 if
// none does. It allocates nothing, unless Identities does.
func (t *Table) Match(q *Request) int {
	first := none
	if t.anyHost != nil {
		first = t.anyHost.first(q, first)
	}
	if t.hosts != nil {
		first = t.hosts.first(q, first)
	}
	if first == none {
		return -1
	}
	return first
}
