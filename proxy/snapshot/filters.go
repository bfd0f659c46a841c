package snapshot

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/bandwidth"
	"github.com/hopscope/hopscope/proxy/filter/body"
	"github.com/hopscope/hopscope/proxy/filter/compress"
	"github.com/hopscope/hopscope/proxy/filter/cors"
	"github.com/hopscope/hopscope/proxy/filter/decompress"
	"github.com/hopscope/hopscope/proxy/filter/earlydata"
	"github.com/hopscope/hopscope/proxy/filter/errorbody"
	"github.com/hopscope/hopscope/proxy/filter/inject"
	"github.com/hopscope/hopscope/proxy/filter/transcode"
	"github.com/hopscope/hopscope/proxy/filter/upgrades"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// routeFilters are the filters of a route, the first outermost, and innerFilters those that
// come behind its limits: the one table of them. Each makes a filter of the route's
// policies, nil where the route has none of its kind. In between are first the one that asks
// for passwords, and then the limits: so no request is counted whose client is not let in.
var (
	routeFilters = [...]func(*config.RoutePolicies) filter.Filter{
		upgradesFilter,
		bandwidthFilter,
		compressFilter,
		corsFilter,
		errorBodyFilter,
		earlyDataFilter,
	}
	innerFilters = [...]func(*config.RoutePolicies) filter.Filter{
		injectFilter,
		decompressFilter,
		bodyFilter,
		transcodeFilter,
	}
)

// chain is the chain of filters in front of what a route does; nil for none. Routes with
// equal policies share one, unless they have limits, which count for each by itself.
func (g *generation) chain(r *resources.Route, lc *config.Listener) filter.Handler {
	p := &r.Policies
	if reflect.ValueOf(p).Elem().IsZero() {
		return nil
	}
	key, err := json.Marshal(p)
	own := g.limits(r, lc)
	if shared, ok := g.chains[string(key)]; ok && err == nil && own == nil && p.Bandwidth == nil {
		return shared
	}
	var filters []filter.Filter
	add := func(f filter.Filter) {
		if f != nil {
			filters = append(filters, f)
		}
	}
	for _, of := range routeFilters {
		add(of(p))
	}
	add(basicAuthFilter(p, g.passwords))
	filters = append(filters, own.filters()...)
	for _, of := range innerFilters {
		add(of(p))
	}
	if len(filters) == 0 {
		return nil
	}
	h := filter.Chain(filter.Act, filters...)
	if own == nil && r.Policies.Bandwidth == nil { // which no other route may use up
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

func errorBodyFilter(p *config.RoutePolicies) filter.Filter {
	if len(p.ErrorBodies) == 0 {
		return nil
	}
	var bodies []errorbody.Body
	for _, c := range p.ErrorBodies {
		b := errorbody.Body{Endpoints: c.Endpoints, Content: []byte(c.Body), ContentType: cmp.Or(c.ContentType, "text/plain; charset=utf-8")}
		if c.JSON != "" {
			b.Content, b.ContentType = []byte(c.JSON), cmp.Or(c.ContentType, "application/json")
		}
		for _, s := range c.Statuses {
			if first, last, err := config.Statuses(s); err == nil { // it is valid
				b.Statuses = append(b.Statuses, [2]int{first, last})
			}
		}
		bodies = append(bodies, b)
	}
	return errorbody.New(bodies)
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

func upgradesFilter(p *config.RoutePolicies) filter.Filter {
	if len(p.Upgrades) == 0 {
		return nil
	}
	var allowed []string
	for _, protocol := range p.Upgrades {
		if protocol != "none" {
			allowed = append(allowed, strings.ToLower(protocol))
		}
	}
	return upgrades.New(allowed)
}

func decompressFilter(p *config.RoutePolicies) filter.Filter {
	d := p.Decompress
	if d == nil {
		return nil
	}
	most, err := config.Size(d.Max)
	if err != nil { // not reached: the configuration is valid
		return nil
	}
	return decompress.New(d.Algorithms, most)
}

func bandwidthFilter(p *config.RoutePolicies) filter.Filter {
	b := p.Bandwidth
	if b == nil {
		return nil
	}
	request, err := config.Size(b.Request)
	response, err2 := config.Size(b.Response)
	if err != nil || err2 != nil { // not reached: the configuration is valid
		return nil
	}
	return bandwidth.New(request, response)
}

func transcodeFilter(p *config.RoutePolicies) filter.Filter {
	c := p.Transcode
	if c == nil {
		return nil
	}
	schema, err := c.Schema()
	most, tooMuch := config.Size(c.MaxMessage)
	if err != nil || tooMuch != nil { // not reached: the configuration is valid
		return nil
	}
	return transcode.New(transcode.Options{
		Schema: schema, MaxMessage: int(most), RejectUnknownMethods: c.RejectUnknownMethods,
		IgnoredQueryParameters: c.IgnoredQueryParameters, IgnoreUnknownQueryParameters: c.IgnoreUnknownQueryParameters,
		ConvertGRPCStatus: c.ConvertGRPCStatus, Print: transcode.Print(c.Print),
	})
}

func earlyDataFilter(p *config.RoutePolicies) filter.Filter {
	if p.EarlyData == nil {
		return nil
	}
	return earlydata.New(p.EarlyData.Allow == "safe")
}
