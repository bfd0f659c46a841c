package snapshot

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/body"
	"github.com/hopscope/hopscope/proxy/filter/compress"
	"github.com/hopscope/hopscope/proxy/filter/cors"
	"github.com/hopscope/hopscope/proxy/filter/earlydata"
	"github.com/hopscope/hopscope/proxy/filter/inject"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// routeFilters are the filters of a route, the first outermost: the one table of them.
// Each makes a filter of the route's policies, nil where the route has none of its kind. own
// is what the route's limits have counted; nil is nothing.
func routeFilters(own *routeLimits) []func(*config.RoutePolicies) filter.Filter {
	return []func(*config.RoutePolicies) filter.Filter{
		compressFilter,
		corsFilter,
		earlyDataFilter,
		own.admissionFilter,
		own.limitFilter,
		injectFilter,
		bodyFilter,
	}
}

// chain is the chain of filters in front of what a route does; nil for none. Routes with
// equal policies share one, unless they have limits, which count for each by itself.
func (g *generation) chain(r *resources.Route, lc *config.Listener) filter.Handler {
	p := &r.Policies
	if reflect.ValueOf(p).Elem().IsZero() {
		return nil
	}
	key, err := json.Marshal(p)
	own := g.limits(r, lc)
	if shared, ok := g.chains[string(key)]; ok && err == nil && own == nil {
		return shared
	}
	var filters []filter.Filter
	for _, of := range routeFilters(own) {
		if f := of(p); f != nil {
			filters = append(filters, f)
		}
	}
	if len(filters) == 0 {
		return nil
	}
	h := filter.Chain(filter.Act, filters...)
	if own == nil {
		g.chains[string(key)] = h
	}
	return h
}

func compressFilter(p *config.RoutePolicies) filter.Filter {
	c := p.Compress
	if c == nil {
		return nil
	}
	o := compress.Options{MinBytes: int64(c.MinBytes)}
	for _, name := range c.Algorithms {
		if a, ok := compress.AlgorithmOf(name); ok {
			o.Algorithms = append(o.Algorithms, a)
		}
	}
	for _, t := range c.Types {
		o.Types = append(o.Types, strings.ToLower(t))
	}
	return compress.New(o)
}

func corsFilter(p *config.RoutePolicies) filter.Filter {
	c := p.CORS
	if c == nil {
		return nil
	}
	o := cors.Options{
		Methods: c.AllowMethods, Headers: c.AllowHeaders, Expose: c.ExposeHeaders,
		MaxAge: c.MaxAge, Credentials: c.AllowCredentials,
	}
	for _, origin := range c.AllowOrigins {
		switch re, isPattern, err := config.OriginPattern(origin); {
		case err != nil: // not reached: the configuration is valid
		case isPattern:
			o.Patterns = append(o.Patterns, re)
		default:
			o.Origins = append(o.Origins, origin)
		}
	}
	return cors.New(o)
}

func bodyFilter(p *config.RoutePolicies) filter.Filter {
	if p.Body == nil {
		return nil
	}
	most, err := config.Size(p.Body.Max)
	if err != nil { // not reached: the configuration is valid
		return nil
	}
	return body.New(most, p.Body.Buffer)
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

func earlyDataFilter(p *config.RoutePolicies) filter.Filter {
	if p.EarlyData == nil {
		return nil
	}
	return earlydata.New(p.EarlyData.Allow == "safe")
}
