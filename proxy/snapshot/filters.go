package snapshot

import (
	"encoding/json"
	"reflect"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/inject"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// routeFilters are the filters of a route, the first outermost: the one table of them.
// Each makes a filter of the route's policies, nil where the route has none of its kind.
var routeFilters = [...]func(*config.RoutePolicies) filter.Filter{
	injectFilter,
}

// chain is the chain of filters in front of what a route does; nil for none. Routes with
// equal policies share one.
func (g *generation) chain(p *config.RoutePolicies) filter.Handler {
	if reflect.ValueOf(p).Elem().IsZero() {
		return nil
	}
	key, err := json.Marshal(p)
	if shared, ok := g.chains[string(key)]; ok && err == nil {
		return shared
	}
	var filters []filter.Filter
	for _, of := range routeFilters {
		if f := of(p); f != nil {
			filters = append(filters, f)
		}
	}
	if len(filters) == 0 {
		return nil
	}
	g.chains[string(key)] = filter.Chain(filter.Act, filters...)
	return g.chains[string(key)]
}

func injectFilter(p *config.RoutePolicies) filter.Filter {
	f := p.Fault
	if f == nil {
		return nil
	}
	o := inject.Options{Headers: f.Headers}
	if f.Delay != nil {
		o.Delay, o.DelayPercent = f.Delay.Fixed, f.Delay.Percent
	}
	if f.Abort != nil {
		o.Status, o.AbortPercent = f.Abort.Status, f.Abort.Percent
		if f.Abort.GRPCStatus > 0 {
			o.GRPC = hop.GRPCStatusOf(f.Abort.GRPCStatus)
		}
	}
	return inject.New(o)
}
