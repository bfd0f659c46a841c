package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// Source delivers the endpoints of one service, or of one prepared query.
type Source struct {
	client     *Client
	api        *api.Client
	options    Options
	datacenter datacenter
}

// Service returns a source. It does not ask the agent yet. The error says which option is
// wrong.
func (c *Client) Service(o Options) (*Source, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	client, err := c.api(o.Namespace, o.Partition)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &Source{client: c, api: client, options: o, datacenter: datacenter{api: client}}, nil
}

var _ discovery.Source = (*Source)(nil)

// Run delivers as [discovery.Source] says. A goroutine for each datacenter follows the
// service there; Run puts together what they find.
func (s *Source) Run(ctx context.Context, deliver func(discovery.Update)) {
	datacenters := append([]string{s.options.Datacenter}, s.options.Failover...)
	type change struct {
		priority int
		part     part
	}
	changes := make(chan change)
	known := s.known(len(datacenters))
	var running sync.WaitGroup
	defer running.Wait()
	for priority, datacenter := range datacenters {
		running.Go(func() {
			s.follow(ctx, datacenter, priority, known[priority], func(p part) {
				select {
				case changes <- change{priority, p}:
				case <-ctx.Done():
				}
			})
		})
	}

	parts := s.known(len(datacenters))
	var last *discovery.Update
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-changes:
			parts[c.priority] = c.part
		}
		// What a failover datacenter says first is no answer yet.
		if update := merge(parts); parts[0].asked && (last == nil || !same(*last, update)) {
			deliver(update)
			last = &update
		}
	}
}

// known are what there is to know of each datacenter before any was asked.
func (s *Source) known(datacenters int) []part {
	parts := make([]part, datacenters)
	if s.options.Known == nil {
		return parts
	}
	for _, e := range s.options.Known.Endpoints {
		if p := e.Priority; p >= 0 && p < datacenters {
			parts[p].found.instances = append(parts[p].found.instances, Instance{Endpoint: e})
		}
	}
	for i := range parts {
		parts[i].answered = true
		parts[i].found.missing = s.options.Known.Missing
	}
	return parts
}

// part is what is known of the service in one datacenter.
type part struct {
	asked    bool // whether it was asked at all
	answered bool // whether it ever answered
	found    found
	err      error // why found is not of now
}

// found is what Consul says of a service: its instances, or that there is no such service.
type found struct {
	instances []Instance
	missing   bool
	nearest   string // the service that was most likely meant, if this one is missing
}

func merge(parts []part) discovery.Update {
	update := discovery.Update{Missing: true}
	var failed []error
	for _, p := range parts {
		if p.answered && update.Endpoints == nil {
			update.Endpoints = []discovery.Endpoint{} // there are none, which is more than that none is known
		}
		update.Endpoints = append(update.Endpoints, endpoints(p.found.instances)...)
		update.Missing = update.Missing && p.answered && p.found.missing
		update.Nearest = cmp.Or(update.Nearest, p.found.nearest)
		failed = append(failed, p.err)
	}
	if !update.Missing {
		update.Nearest = ""
	}
	update.Err = errors.Join(failed...)
	return update
}

func same(a, b discovery.Update) bool {
	return a.Missing == b.Missing && a.Nearest == b.Nearest && text(a.Err) == text(b.Err) && reflect.DeepEqual(a.Endpoints, b.Endpoints)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// follow asks one datacenter until ctx is done.
func (s *Source) follow(ctx context.Context, datacenter string, priority int, p part, tell func(part)) {
	q := question[found]{
		options: api.QueryOptions{
			Datacenter: datacenter, Filter: s.options.Filter, Near: s.options.Near, AllowStale: s.options.Stale,
		},
		wait:    s.options.Wait,
		backoff: s.options.Backoff,
		away:    s.options.Known != nil,
	}
	v := view{onlyPassing: s.options.OnlyPassing, ordered: s.options.Near != "", priority: priority}
	if s.options.Query != "" {
		v.ordered = true // Consul sorts by distance if the query says so
		q.every = s.options.Poll
		q.ask = func(o *api.QueryOptions) (found, *api.QueryMeta, error) { return s.execute(o, v) }
	} else {
		q.ask = func(o *api.QueryOptions) (found, *api.QueryMeta, error) { return s.health(o, v) }
	}
	grace := grace{period: s.options.Grace}
	q.follow(ctx, func(r reply[found]) time.Duration {
		again := s.take(&p, &grace, r)
		if p.err != nil && datacenter != "" {
			p.err = fmt.Errorf("datacenter %s: %w", datacenter, p.err)
		}
		tell(p)
		return again
	})
}

// take makes of a reply what is known from now on, and says when to ask anew.
func (s *Source) take(p *part, g *grace, r reply[found]) (again time.Duration) {
	p.asked, p.err = true, r.err
	if r.err != nil {
		return 0
	}
	if len(r.value.instances) > 0 {
		g.seen()
		presume(p.found.instances, r.value.instances)
	} else if n := len(p.found.instances); n > 0 {
		believed, wait := g.gone(time.Now(), r.forgotten)
		if !believed {
			p.err = fmt.Errorf("consul at %s came back without any endpoint of %q: keeping the last %d for up to %s",
				s.client.address, s.options.Service+s.options.Query, n, g.period)
			return wait
		}
	}
	p.answered, p.found = true, r.value
	return 0
}

// health asks for all instances whatever their health, so that a service of which none
// passes is told from one that does not exist.
func (s *Source) health(o *api.QueryOptions, v view) (found, *api.QueryMeta, error) {
	needs := fmt.Sprintf("service:read on %q and node:read", s.options.Service)
	remote, err := s.datacenter.differs(o.Context(), o.Datacenter)
	if err != nil {
		return found{}, nil, s.client.explain(err, needs)
	}
	v.remote = remote
	entries, meta, err := s.api.Health().ServiceMultipleTags(s.options.Service, s.options.Tags, false, o)
	if err == nil && len(entries) == 0 && o.WaitIndex > 0 {
		// Consul's streaming backend, which answers questions that are held, has nothing
		// for a token that lost its rights, and does not say so. The other one does.
		o.WaitIndex, o.WaitTime = 0, 0
		entries, meta, err = s.api.Health().ServiceMultipleTags(s.options.Service, s.options.Tags, false, o)
	}
	if err != nil {
		return found{}, nil, s.client.explain(err, needs)
	}
	if len(entries) > 0 {
		return found{instances: v.instances(entries)}, meta, nil
	}
	if err := s.client.believable(meta, needs); err != nil {
		return found{}, nil, err
	}
	missing := true
	if len(s.options.Tags) > 0 || s.options.Filter != "" {
		all, _, err := s.api.Catalog().Service(s.options.Service, "",
			(&api.QueryOptions{Datacenter: o.Datacenter, AllowStale: o.AllowStale}).WithContext(o.Context()))
		if err != nil {
			return found{}, nil, s.client.explain(err, needs)
		}
		missing = len(all) == 0
	}
	if !missing {
		return found{}, meta, nil
	}
	return found{missing: true, nearest: s.nearest(o)}, meta, nil
}

// nearest is the service of the catalog whose name is the most like the one that is not
// there. If the catalog can't be read, there is none: the name only helps people.
func (s *Source) nearest(o *api.QueryOptions) string {
	all, _, err := s.api.Catalog().Services((&api.QueryOptions{Datacenter: o.Datacenter, AllowStale: true}).WithContext(o.Context()))
	if err != nil {
		return ""
	}
	return strictyaml.Nearest(s.options.Service, slices.Sorted(maps.Keys(all)))
}

// execute runs the prepared query.
func (s *Source) execute(o *api.QueryOptions, v view) (found, *api.QueryMeta, error) {
	needs := fmt.Sprintf("query:read on %q, and service:read and node:read on what it finds", s.options.Query)
	remote, err := s.datacenter.differs(o.Context(), o.Datacenter)
	if err != nil {
		return found{}, nil, s.client.explain(err, needs)
	}
	response, meta, err := s.api.PreparedQuery().Execute(s.options.Query, o)
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		return found{missing: true}, &api.QueryMeta{}, nil
	}
	if err != nil {
		return found{}, nil, s.client.explain(err, needs)
	}
	if response == nil {
		return found{}, nil, s.client.explain(io.ErrUnexpectedEOF, needs)
	}
	if len(response.Nodes) == 0 {
		if err := s.client.denied(meta, needs); err != nil {
			return found{}, nil, err
		}
	}
	v.remote = remote || response.Failovers > 0
	entries := make([]*api.ServiceEntry, len(response.Nodes))
	for i := range response.Nodes {
		entries[i] = &response.Nodes[i]
	}
	meta.LastIndex = 0 // that of whichever datacenter answered: nothing to compare
	return found{instances: v.instances(entries)}, meta, nil
}
