package snapshot

import (
	"reflect"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/filter"
)

// asked are the keys of the policies whose filters a dry run goes through: what these do
// follows from the request alone. A filter that waits, draws lots or counts is not among
// them.
var asked = map[string]bool{"body": true, "compress": true, "cors": true, "early_data": true}

// policyFilter is a filter of a route, with the policy that it is made of.
type policyFilter struct {
	config.Shown
	filter filter.Filter
}

// filtersOf are the filters of a route in their order, the first outermost: those of
// routeFilters. Which policy one is made of is found out by giving it each alone.
func filtersOf(p *config.RoutePolicies) (all []policyFilter) {
	whole := reflect.ValueOf(p).Elem()
	for _, of := range routeFilters(nil) {
		if of(p) == nil {
			continue
		}
		var keys []config.Shown
		for i := range whole.NumField() {
			var alone config.RoutePolicies
			reflect.ValueOf(&alone).Elem().Field(i).Set(whole.Field(i))
			if !whole.Field(i).IsZero() && of(&alone) != nil {
				keys = append(keys, alone.Set()...)
			}
		}
		one := policyFilter{filter: of(p)}
		for i, k := range keys {
			if i > 0 {
				one.Key, one.Value = one.Key+", ", one.Value+"; "
			}
			one.Key, one.Value = one.Key+k.Key, one.Value+k.Value
		}
		all = append(all, one)
	}
	return all
}

// dryChain is the chain of a route's filters that a dry run goes through, nil for none.
func dryChain(p *config.RoutePolicies) filter.Handler {
	var filters []filter.Filter
	for _, f := range filtersOf(p) {
		if asked[f.Key] {
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
func explainedFilters(lc *config.Listener, p *config.RoutePolicies) []explain.Filter {
	all := []explain.Filter{}
	for _, f := range listenerFilters(lc, nil, "") {
		all = append(all, explain.Filter{Of: "listener", Name: f.key, Settings: lc.At(f.key), Asked: true})
	}
	if p == nil {
		return all
	}
	for _, f := range filtersOf(p) {
		all = append(all, explain.Filter{Of: "route", Name: f.Key, Settings: f.Value, Asked: asked[f.Key]})
	}
	return all
}
