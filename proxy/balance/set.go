package balance

import (
	"strings"
	"time"
)

// Set holds the hosts of a cluster at one moment and the order of picks. Only the turns
// of its policy and the [Load] of its hosts change. When hosts change, make a new one
// with [Set.Next]. It is safe for concurrent use.
type Set struct {
	options Options
	hosts   []Host
	loads   []*Load   // by host: what a pick reads lies close together
	weights []float64 // by host
	total   *Total    // of the hosts' loads, nil if they have none
	tables  tables    // of hash policies

	only    int // the single host that can be picked, -1 if there are more or none
	onlyHow Outcome
	panic   bool // a priority, or one of a subset, is in a panic

	whole   *levels  // of all hosts; nil where there are
	subsets *subsets // subsets
}

// Request is the input of a pick.
type Request struct {
	// Hash decides in ring hash and Maglev if Hashed is true. Requests without a hash go
	// to a random host.
	Hash   uint64
	Hashed bool
	// Random is 64 random bits, fresh for each pick.
	Random uint64
	// Now is the time on the clock of [Load.Begin]; only peak EWMA needs it.
	Now time.Duration
	// Subset is the subset that the request's route asks for, nil for none.
	Subset *Criteria
	// Tried lists the endpoints that were tried before; others are picked as long as
	// there are any. Their Load identifies them, since it stays the same when the Set is
	// replaced between two attempts.
	Tried []*Load
}

// Outcome says what is notable about a pick, for metrics, as the bits below.
type Outcome uint8

// The outcomes.
const (
	Panic          Outcome = 1 << iota // health was disregarded: too few hosts are available
	DegradedHost                       // it is one of the degraded hosts
	Failover                           // it is not of the first priority
	CrossZone                          // zone-aware routing left this proxy's zone
	SubsetFallback                     // no host is in the subset asked for
	Repeated                           // it was tried before: no other was left
	UncheckedHost                      // its first check has not ended
	Session                            // the request's session named it: see Serves
)

var outcomeNames = []string{"panic", "degraded", "failover", "cross_zone", "subset_fallback", "repeated", "unchecked", "session"}

// String is the names of the bits, such as "panic,failover", "" for none.
func (o Outcome) String() string {
	var names []string
	for i, n := range outcomeNames {
		if o&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// NewSet returns a Set of the hosts; the caller must not change them afterwards. The
// random seed decides where turns begin, so that proxies that start together, and
// successive Sets, do not all begin with the same host. The options must pass
// [Options.Validate].
func NewSet(hosts []Host, o *Options, seed uint64) *Set {
	return build(hosts, o.withDefaults(), seed, nil)
}

// Next returns the Set that follows s, with other hosts or the same in another state. If
// keys, weights and order of the hosts are unchanged, it reuses the ring or the Maglev
// table, which makes a change of health cheap.
func (s *Set) Next(hosts []Host, seed uint64) *Set {
	return build(hosts, s.options, seed, s.tables)
}

// Pick returns the index of the host for the request, -1 if none may be picked, and what
// is notable about the pick. It allocates nothing.
func (s *Set) Pick(r *Request) (index int, how Outcome) {
	if s.only >= 0 && len(r.Tried) == 0 {
		return s.only, s.onlyHow
	}
	from := s.whole
	if s.subsets != nil {
		if from, how = s.subsets.find(r.Subset); from == nil {
			return -1, how
		}
	}
	index, more := from.pick(s, r)
	return index, how | more
}

// Serves reports whether a host may serve a request that names it: it is healthy or
// degraded, or not checked yet, and in the subset that the request asks for. It does not
// look at who was tried.
func (s *Set) Serves(index int, r *Request) bool {
	h := &s.hosts[index]
	return h.Health <= Unchecked && (r.Subset == nil || r.Subset.match(h.Metadata))
}

// Panics reports whether too few hosts of a priority are available, of all hosts or of a
// subset, so that those that are not well are used too.
func (s *Set) Panics() bool { return s.panic }

// Hosts returns the hosts as they were given. The caller must not change them.
func (s *Set) Hosts() []Host { return s.hosts }

// tried reports whether the request was sent to the host before.
func (s *Set) tried(r *Request, host int) bool {
	for _, l := range r.Tried {
		if l == s.loads[host] {
			return true
		}
	}
	return false
}

// builder builds a Set.
type builder struct {
	set    *Set
	before tables
	seed   uint64
	seeds  uint64 // how many were drawn of seed
}

func build(hosts []Host, o Options, seed uint64, before tables) *Set {
	s := &Set{
		options: o, hosts: hosts, only: -1, tables: tables{},
		loads: make([]*Load, len(hosts)), weights: make([]float64, len(hosts)),
	}
	all := make([]uint32, len(hosts))
	for i := range hosts {
		all[i], s.loads[i], s.weights[i] = uint32(i), hosts[i].Load, hosts[i].weight()
	}
	if len(hosts) > 0 {
		s.total = hosts[0].Load.total
	}
	b := &builder{set: s, before: before, seed: seed}
	if len(o.Subsets) > 0 {
		s.subsets = b.subsets(all)
		return s
	}
	s.whole = b.levels(all)
	if host, how, single := s.whole.single(); single {
		s.only, s.onlyHow = host, how
	}
	return s
}

// draw returns another seed.
func (b *builder) draw() uint64 {
	b.seeds++
	return mix(b.seed, b.seeds)
}
