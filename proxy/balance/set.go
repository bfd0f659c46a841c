package balance

import (
	"strings"
	"time"
)

// Set is the hosts of a cluster at one moment and the order in which they are
// picked. It does not change, but for the turns of its policy and the [Load] of its
// hosts; a change of hosts makes a new one, by [Set.Next]. It is safe for concurrent
// use.
type Set struct {
	options Options
	hosts   []Host
	loads   []*Load   // by host: what a pick reads lies close together
	weights []float64 // by host
	total   *Total    // of the hosts' loads, nil if they have none
	tables  tables    // of hash policies

	only    int // the single host that can be picked, -1 if there are more or none
	onlyHow Outcome

	whole   *levels  // of all hosts; nil where there are
	subsets *subsets // subsets
}

// Request is what a pick depends on.
type Request struct {
	// Hash decides in ring hash and Maglev if Hashed is true; requests without one
	// go to a random host.
	Hash   uint64
	Hashed bool
	// Random is 64 random bits, other ones for each pick.
	Random uint64
	// Now is the time on the clock of [Load.Begin]; peak EWMA alone needs it.
	Now time.Duration
	// Subset is the subset that the request's route asks for, nil for none.
	Subset *Criteria
	// Tried are the endpoints that were tried before. They are told by their Load,
	// which stays theirs when the Set is replaced between two attempts. Others are
	// picked as long as there are any.
	Tried []*Load
}

// Outcome is what is remarkable about a pick, for metrics: bits of those below.
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
)

var outcomeNames = []string{"panic", "degraded", "failover", "cross_zone", "subset_fallback", "repeated", "unchecked"}

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

// NewSet returns the Set of these hosts, which the caller does not change any more.
// The seed, a random number, decides where turns begin, so that proxies that start
// together, and Sets that follow each other, do not all begin with the same host.
// Options are as [Options.Validate] passes them.
func NewSet(hosts []Host, o *Options, seed uint64) *Set {
	return build(hosts, o.withDefaults(), seed, nil)
}

// Next returns the Set that follows s, of other hosts or the same in another state.
// It takes over the ring and the Maglev table of hosts whose keys and weights are as
// they were and in the same order, which makes a change of health cheap.
func (s *Set) Next(hosts []Host, seed uint64) *Set {
	return build(hosts, s.options, seed, s.tables)
}

// Pick returns the index of the host that the request goes to, -1 if none may be
// picked, and what is remarkable about it. It allocates nothing.
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

// Hosts are the hosts as they were given. The caller does not change them.
func (s *Set) Hosts() []Host { return s.hosts }

// tried reports whether the request has been to the host.
func (s *Set) tried(r *Request, host int) bool {
	for _, l := range r.Tried {
		if l == s.loads[host] {
			return true
		}
	}
	return false
}

// builder is a Set in the making.
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
