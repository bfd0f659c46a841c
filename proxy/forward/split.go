package forward

import (
	"fmt"
	"math"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// choose picks the target of one request. cookie is the one that the client is to be given.
func (a *Forward) choose(x *filter.Exchange) (t *Target, cookie given, err error) {
	if a.ClusterHeader != "" {
		t, err = a.named(x)
		return t, given{}, err
	}
	if len(a.Targets) == 1 {
		return &a.Targets[0], given{}, nil
	}
	if a.Sticky != nil {
		if key, cookie, ok := a.Sticky.of(x); ok {
			return a.stay(key), cookie, nil
		}
	}
	return a.target(x.Random()), given{}, nil
}

// named is the target whose cluster the request names.
func (a *Forward) named(x *filter.Exchange) (*Target, error) {
	name, ok := x.Request.Lookup(a.ClusterHeader)
	if !ok {
		return nil, fault.New(fault.NoCluster, fmt.Sprintf("route %s takes the cluster from the field %s, which the request does not have", x.Hop.Labels.Route, a.ClusterHeader))
	}
	for i := range a.Targets {
		if string(name) == a.Targets[i].Cluster.Name {
			return &a.Targets[i], nil
		}
	}
	return nil, fault.New(fault.NoCluster, fmt.Sprintf("route %s does not allow cluster %q, which the field %s names", x.Hop.Labels.Route, clip(name), a.ClusterHeader))
}

// target picks a target by a random number.
func (a *Forward) target(random uint64) *Target {
	last, held := len(a.Targets)-1, a.held()
	var sum uint64
	for i := range a.Targets {
		sum += uint64(a.weight(i, held))
	}
	if sum == 0 {
		return &a.Targets[random%uint64(len(a.Targets))]
	}
	at := random % sum
	for i := range a.Targets[:last] {
		w := uint64(a.weight(i, held))
		if at < w {
			return &a.Targets[i]
		}
		at -= w
	}
	return &a.Targets[last]
}

// stay picks the target of a client by weighted rendezvous: each target draws a number
// from the client's key, exponentially distributed with its weight for the rate, and the
// least wins. So each has its share of the clients, and what a target draws does not
// depend on the others: if its weight grows it only gains clients, if it shrinks it only
// loses some, and the other clients stay where they are.
func (a *Forward) stay(key uint64) *Target {
	best, least, held := 0, math.Inf(1), a.held()
	for i := range a.Targets {
		t, weight := &a.Targets[i], a.weight(i, held)
		if weight == 0 {
			continue
		}
		unit := (float64(scatter(key^balance.HashString(t.Labels.Variant))>>11) + 0.5) / (1 << 53) // above 0, below 1
		if drawn := -math.Log(unit) / float64(weight); drawn < least {
			best, least = i, drawn
		}
	}
	return &a.Targets[best]
}

// scatter makes numbers that have nothing to do with each other of such as do: it is the
// finalizer of SplitMix64.
func scatter(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
