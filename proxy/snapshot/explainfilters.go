package snapshot

import (
	"reflect"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
)

// asked are the keys of the policies whose filters a dry run goes through: what these do
// follows from the request alone. A filter that waits, draws lots or counts is not among
// them.
var asked = map[string]bool{"basic_auth": true, "body": true, "compress": true, "cors": true, "early_data": true, "transcode": true, "upgrades": true}

// policyFilter is a filter of a route, with the policy that it is made of.
type policyFilter struct {
	config.Shown
	filter filter.Filter
}

// filtersOf are the filters of a route in their order, the first outermost. Which policy one
// is made of is found out by giving it each alone. Policies that no such filter is made of
// are the route's limits, which come between the outer filters and the inner ones, after
// that of passwords.
func filtersOf(p *config.RoutePolicies, v *basicauth.Verifier) (all []policyFilter) {
	left := p.Set()
	made := func(makers []func(*config.RoutePolicies) filter.Filter) (made []policyFilter) {
		for _, of := range makers {
			f := of(p)
			if f == nil {
				continue
			}
			one := policyFilter{filter: f}
			for _, policy := range eachAlone(p) {
				if key := policy.Set()[0]; of(policy) != nil {
					one.Shown = key
					left = slices.DeleteFunc(left, func(k config.Shown) bool { return k == key })
				}
			}
			made = append(made, one)
		}
		return made
	}
	passwords := func(p *config.RoutePolicies) filter.Filter { return basicAuthFilter(p, v) }
	outer, inner := made(append(routeFilters[:], passwords)), made(innerFilters[:])
	for _, k := range left {
		outer = append(outer, policyFilter{Shown: k})
	}
	return append(outer, inner...)
}

// eachAlone are policies that have one key of a route's each.
func eachAlone(p *config.RoutePolicies) (all []*config.RoutePolicies) {
	whole := reflect.ValueOf(p).Elem()
	for i := range whole.NumField() {
		if !whole.Field(i).IsZero() {
			alone := new(config.RoutePolicies)
			reflect.ValueOf(alone).Elem().Field(i).Set(whole.Field(i))
			all = append(all, alone)
		}
	}
	return all
}

// dryChain is the chain of a route's filters that a dry run goes through, nil for none.
func dryChain(p *config.RoutePolicies, v *basicauth.Verifier) filter.Handler {
	var filters []filter.Filter
	for _, f := range filtersOf(p, v) {
		if asked[f.Key] && f.filter != nil {
			filters = append(filters, f.filter)
		}
	}
	if len(filters) == 0 {
		return nil
	}
	return filter.Chain(filter.Act, filters...)
}

// explainedFilters are the filters that a request goes through: those of the listener, and
// those of its route, if it has one.
func explainedFilters(lc *config.Listener, p *config.RoutePolicies, v *basicauth.Verifier) []explain.Filter {
	all := []explain.Filter{}
	for _, f := range listenerFilters(lc, nil, "") {
		all = append(all, explain.Filter{Of: "listener", Name: f.key, Settings: lc.At(f.key), Asked: true})
	}
	if p == nil {
		return all
	}
	for _, f := range filtersOf(p, v) {
		all = append(all, explain.Filter{Of: "route", Name: f.Key, Settings: f.Value, Asked: asked[f.Key]})
	}
	return all
}
