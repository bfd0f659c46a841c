package snapshot

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// served is a listener whose requests can be explained: its forwarder, with the routes that
// this was compiled of.
type served struct {
	config    *config.Listener
	forwarder *forward.Forwarder
	routes    []resources.Route
	catalog   []resources.Route // nil for none
}

// explainer explains requests. It holds what does not change while it does.
type explainer struct {
	listeners []served
	set       *resources.Set
	passwords *basicauth.Verifier
	// without says what is not known, "" for nothing.
	without string
}

// explainer is for the generation as it is now.
func (g *generation) explainer() *explainer {
	g.applying.Lock()
	e := &explainer{set: g.set, passwords: g.passwords}
	g.applying.Unlock()
	for _, b := range g.listeners {
		e.add(g.base, b.config, b.forwarder)
	}
	return e
}

func (e *explainer) add(base *resources.Set, lc *config.Listener, f *forward.Forwarder) {
	s := served{config: lc, forwarder: f}
	if t := base.Routes[resources.ID{Origin: resources.Configuration, Name: lc.Name}]; t != nil {
		s.routes = t.Routes
	}
	if t := e.set.Routes[resources.CatalogTable]; t != nil && lc.Catalog == "consul" {
		s.catalog = t.Routes
	}
	e.listeners = append(e.listeners, s)
}

// explain says what becomes of a request.
func (e *explainer) explain(asked explain.Request) (*explain.Explanation, error) {
	in, err := readRequest(&asked)
	if err != nil {
		return nil, err
	}
	var first *explanation
	for _, s := range e.candidates(&asked, in) {
		x := &explanation{explainer: e, served: s, in: in, Explanation: explain.Explanation{
			Request: in.line, Listener: s.config.Name, Earlier: []explain.Earlier{}, Filters: []explain.Filter{},
		}}
		if err := x.find(asked.Chance); err != nil {
			return nil, err
		}
		if first == nil {
			first = x
		}
		if x.run.Route != nil {
			first = x
			break
		}
	}
	if first == nil {
		return nil, fmt.Errorf("there is no listener %q; there are: %s", asked.Listener, strings.Join(e.names(), ", "))
	}
	if err := first.fill(); err != nil {
		return nil, err
	}
	if len(e.listeners) > 1 && asked.Listener == "" {
		first.note("explained for listener %s; others can be named: %s", first.config.Name, strings.Join(e.names(), ", "))
	}
	return &first.Explanation, nil
}

func (e *explainer) names() (all []string) {
	for i := range e.listeners {
		all = append(all, e.listeners[i].config.Name)
	}
	return all
}

// candidates are the listeners that may be meant: the one that is named, or those whose port
// the URL has, or else all.
func (e *explainer) candidates(asked *explain.Request, in *request) (all []served) {
	for _, s := range e.listeners {
		if asked.Listener == "" || asked.Listener == s.config.Name {
			all = append(all, s)
		}
	}
	at := slices.DeleteFunc(slices.Clone(all), func(s served) bool {
		_, port, err := net.SplitHostPort(s.config.Address)
		return err != nil || port != in.port
	})
	if in.port != "" && len(at) > 0 {
		return at
	}
	return all
}

// explanation is one that is being made.
type explanation struct {
	*explainer
	served
	in     *request
	run    *forward.DryRun
	answer *fault.Answer
	explain.Explanation
}

func (x *explanation) note(text string, args ...any) {
	x.Notes = append(x.Notes, fmt.Sprintf(text, args...))
}

// dryRun makes a dry run by the two numbers that chances go by.
func (x *explanation) dryRun(chance, seed uint64, target int) (*forward.DryRun, *fault.Answer, error) {
	d := &forward.DryRun{
		Info: x.in.info(x.config), Head: x.in.head, Chance: chance, Seed: seed, Target: target,
		Version: x.spoken, Endpoint: x.anEndpoint,
	}
	d.Filters = func(*forward.Route) filter.Handler { return dryChain(&x.routeOf(d).Policies, x.passwords) }
	answer, err := x.forwarder.Run(d)
	return d, answer, err
}

// routeOf is the route that a dry run has found, nil for none.
func (x *explanation) routeOf(d *forward.DryRun) *resources.Route {
	switch {
	case d.Route == nil:
		return nil
	case d.Catalog != nil:
		return at(x.catalog, d.At)
	}
	return at(x.routes, d.At)
}

// at is a route of a list, which may have become shorter meanwhile.
func at(all []resources.Route, i int) *resources.Route {
	if i < len(all) {
		return &all[i]
	}
	return &resources.Route{}
}

// find finds the route that requests take: by the chance that is asked for, or else that
// which most of them take.
func (x *explanation) find(chance *float64) error {
	if chance != nil {
		run, answer, err := x.dryRun(uint64(max(*chance, 0)*route.Shares/100), 1, 0)
		x.run, x.answer, x.Chance = run, answer, 1
		return err
	}
	shares := route.SharesOf(matchesOf(x.routes))
	best := 0.0
	for i := -1; i < len(shares); i++ {
		from, to := uint64(0), uint64(route.Shares)
		if i >= 0 {
			from = uint64(shares[i])
		}
		if i+1 < len(shares) {
			to = uint64(shares[i+1])
		}
		if from >= to {
			continue
		}
		run, answer, err := x.dryRun(from, 1, 0)
		if err != nil {
			return err
		}
		part := float64(to-from) / route.Shares
		if total := x.other(run, part); total > best || x.run == nil {
			best, x.run, x.answer = total, run, answer
		}
	}
	taken := x.named(x.run)
	x.Others = slices.DeleteFunc(x.Others, func(r explain.Route) bool {
		same := r.Number == taken.Number && r.Catalog == taken.Catalog
		if same {
			x.Chance = r.Chance
		}
		return same
	})
	return nil
}

// other adds a share of the requests to the route that they take, and returns all that it
// has.
func (x *explanation) other(d *forward.DryRun, share float64) float64 {
	r := x.named(d)
	for i := range x.Others {
		if o := &x.Others[i]; o.Number == r.Number && o.Catalog == r.Catalog {
			o.Chance += share
			return o.Chance
		}
	}
	r.Chance = share
	x.Others = append(x.Others, r)
	return share
}

// named names the route that a dry run has found; its number is 0 if there is none.
func (x *explanation) named(d *forward.DryRun) explain.Route {
	r := x.routeOf(d)
	if r == nil {
		return explain.Route{}
	}
	return explain.Route{Number: d.At + 1, Name: r.Name, Match: r.Match.String(), Catalog: d.Catalog != nil}
}

// fill says all about the route that was found.
func (x *explanation) fill() error {
	r := x.routeOf(x.run)
	var policies *config.RoutePolicies
	if r != nil {
		named := x.named(x.run)
		named.Chance = x.Chance
		x.Route, policies = &named, &r.Policies
		x.settings(r)
	}
	if x.Early = x.run.Request.Head == nil; !x.Early {
		x.earlier()
	}
	x.Filters = explainedFilters(x.config, policies, x.passwords)
	x.answers()
	if x.run.Action != nil && x.answer == nil {
		if err := x.targets(); err != nil {
			return err
		}
	}
	if r == nil && !x.Early {
		x.missed()
	}
	if x.in.scheme == "https" && x.config.TLS == nil || x.in.scheme == "http" && x.config.TLS != nil {
		x.note("the URL says %s; listener %s takes it as what it speaks itself", x.in.scheme, x.config.Name)
	}
	if r != nil && r.Closed != "" {
		x.note("the route is closed: %s", r.Closed)
	}
	if policies != nil && policies.Fault != nil {
		x.note("fault injection is not part of this: it draws lots for each request")
	}
	return nil
}

// earlier are the routes before the one that was found, with why the request is not theirs.
func (x *explanation) earlier() {
	add := func(routes []resources.Route, catalog bool) {
		matches := matchesOf(routes)
		for i := range matches {
			why, matches := matches[i].Explain(&x.run.Request)
			if matches {
				continue // not reached: it would have been found
			}
			x.Earlier = append(x.Earlier, explain.Earlier{
				Number: i + 1, Name: routes[i].Name, Catalog: catalog, Key: strings.Join(why.Keys, " "),
				Wants: routes[i].Match.Wants(why.Keys...), Has: why.Has, Absent: !why.There,
			})
		}
	}
	switch {
	case x.run.Route == nil:
		add(x.routes, false)
		add(x.catalog, true)
	case x.run.Catalog != nil:
		add(x.routes, false)
		add(x.catalog[:min(x.run.At, len(x.catalog))], true)
	default:
		add(x.routes[:x.run.At], false)
	}
}

// answers says what the proxy itself answers, if it does.
func (x *explanation) answers() {
	a := x.answer
	if a == nil {
		return
	}
	x.Answer = &explain.Answer{Status: a.HTTPStatus(), Flags: a.Flag().String(), Body: clip(string(a.Body))}
	if x.run.Call {
		x.Answer.Status, x.Answer.GRPCStatus, x.Answer.Body = http.StatusOK, x.run.GRPCStatus.String(), ""
	}
	for _, f := range a.Fields {
		if x.run.Call && strings.EqualFold(f.Name, "content-type") {
			continue // it is that of gRPC
		}
		x.Answer.Headers = append(x.Answer.Headers, f.Name+": "+f.Value)
	}
	if x.Answer.Why = a.Details; a.Why != nil {
		x.Answer.Why = a.Why.Reason
	}
}

// clip keeps a content to what can be read.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// missed says what becomes of a request without a route.
func (x *explanation) missed() {
	if x.run.Egress {
		x.note("no route takes it, so the forward proxy does, if the client may reach the destination")
	}
	if x.config.Catalog == "consul" && x.without != "" {
		x.note("%s", x.without)
	}
}

// targets are where requests may go, each with the request as it goes out.
func (x *explanation) targets() error {
	chances, likely := x.run.Chances(), 0.0
	for i := range x.run.Action.Targets {
		t := &x.run.Action.Targets[i]
		if x.run.Sure && chances[i] == 0 {
			continue
		}
		one, _, err := x.dryRun(x.run.Chance, 1, i)
		if err != nil {
			return err
		}
		two, _, err := x.dryRun(x.run.Chance, 2, i)
		if err != nil {
			return err
		}
		if chances[i] >= likely {
			likely = chances[i]
			x.plan(one.Plan)
		}
		shown := explain.Target{Cluster: t.Cluster.Name, Variant: t.Labels.Variant, Chance: chances[i], Endpoints: []explain.Endpoint{}, Session: one.Session}
		shown.Sent = sentHead(one.Sent, two.Sent)
		shown.Changes = compared(x.in.lines, shown.Sent)
		status := t.Cluster.Status()
		shown.Balance, shown.From = status.Policy, status.Source.From
		if from := x.sourceOf(t); from != "" {
			shown.From = from
		}
		for _, e := range status.Endpoints {
			shown.Endpoints = append(shown.Endpoints, explain.Endpoint{Address: e.Address, Weight: e.Weight, Health: e.Health, Why: e.Why})
		}
		x.Targets = append(x.Targets, shown)
	}
	slices.SortStableFunc(x.Targets, func(a, b explain.Target) int { return cmp.Compare(b.Chance, a.Chance) })
	return nil
}

// madeOf is what a target's cluster is made of, nil if that is not known.
func (x *explanation) madeOf(t *forward.Target) *resources.Cluster {
	id := resources.ID{Origin: resources.Configuration, Name: t.Cluster.Name}
	if c := x.set.Clusters[id]; c != nil && x.run != nil && x.run.Catalog == nil {
		return c
	}
	id.Origin = resources.Catalog
	return x.set.Clusters[id]
}

// sourceOf is where the endpoints of a target come from.
func (x *explanation) sourceOf(t *forward.Target) string {
	c := x.madeOf(t)
	if c == nil {
		return ""
	}
	switch s := c.Settings; {
	case s.Consul != nil:
		return "consul " + s.Consul.Service
	case s.DNS != nil:
		return "dns " + s.DNS.Name
	case s.File != nil:
		return "file " + s.File.Path
	}
	return ""
}

// spoken is what endpoints are spoken to in.
func (x *explanation) spoken(t *forward.Target) hop.Version {
	if c := x.madeOf(t); c != nil && c.Settings.Protocol == "http2" {
		return hop.HTTP2
	}
	return hop.HTTP11
}

// anEndpoint is the address of an endpoint that a request may go to.
func (x *explanation) anEndpoint(t *forward.Target) string {
	all := t.Cluster.Status().Endpoints
	if i := slices.IndexFunc(all, func(e cluster.EndpointStatus) bool { return e.Health == "healthy" }); i >= 0 {
		return all[i].Address
	}
	if len(all) > 0 {
		return all[0].Address
	}
	return "ENDPOINT"
}

// plan says how long a request to a target may take, and when it is sent again.
func (x *explanation) plan(p forward.Plan) {
	x.Timeouts = nil
	add := func(key string, d interface{ String() string }, given bool) {
		if given {
			x.Timeouts = append(x.Timeouts, config.Shown{Key: key, Value: d.String()})
		}
	}
	add("the whole response", p.Timeout, p.Timeout > 0)
	add("each attempt", p.PerTry, p.PerTry > 0)
	add("what the caller waits, less a margin", p.CallerWaits, p.CallerWaits > 0)
	add("no byte moves", p.Idle, p.Idle > 0)
	x.Retry = &explain.Retry{Attempts: p.Attempts, On: append([]string{}, p.On...), PerTry: p.PerTry, Budget: p.Budget, Implied: p.Implied}
}

// settings are what the route says besides its match.
func (x *explanation) settings(r *resources.Route) {
	if x.run.Catalog != nil {
		if r.Strip != "" {
			x.Settings = append(x.Settings, config.Shown{Key: "strip", Value: r.Strip})
		}
		if r.Prepend != "" {
			x.Settings = append(x.Settings, config.Shown{Key: "prepend", Value: r.Prepend})
		}
		return
	}
	if x.run.At < len(x.config.Routes) {
		x.Settings = x.config.Routes[x.run.At].Set()
	}
}

// Explain says what becomes of a request now. It sends, records and counts nothing. An error
// says what is wrong with the question.
func (p *Proxy) Explain(r explain.Request) (*explain.Explanation, error) {
	return p.current.Load().explainer().explain(r)
}
