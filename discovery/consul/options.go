package consul

import (
	"fmt"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
)

// Options say which endpoints a source is to deliver, and how it asks for them.
type Options struct {
	// Service is the service's name, or Query the name or ID of a prepared query: one of
	// them. Consul decides which endpoints a prepared query has; it leaves out those that
	// are critical.
	Service, Query string
	// Datacenter is where to ask; empty is the agent's own.
	Datacenter string
	// Failover are further datacenters. Endpoints of the first have priority 1, of the
	// second 2, and so on.
	Failover []string
	// Namespace and Partition are for Consul Enterprise.
	Namespace, Partition string
	// Tags that an instance must have, all of them.
	Tags []string
	// Filter is an expression in Consul's language: Service.Meta.version == "2".
	Filter string
	// Near is the name of a node, or _agent, to which instances are sorted by distance.
	// Empty sorts them by address.
	Near string
	// OnlyPassing takes a warning for unhealthy rather than degraded.
	OnlyPassing bool
	// Stale lets any of Consul's servers answer, also one that lags behind.
	Stale bool
	// Wait is how long Consul may hold a question until something changes: 5 min when
	// zero, 10 at most.
	Wait time.Duration
	// Poll is how often a prepared query is asked, which Consul does not hold: every
	// 10 s when zero.
	Poll time.Duration
	// Grace is how long a service stays that a Consul which was away no longer knows:
	// 10 min when zero.
	Grace time.Duration
	// Backoff spaces the questions that fail.
	Backoff discovery.Backoff
	// Known is what Consul said of this before, to another source; nil is nothing. It is
	// kept until Consul says otherwise, by the same rules as what it said to this one.
	Known *discovery.Known
}

const defaultPoll = 10 * time.Second

// filled checks the options and fills in the defaults.
func (o Options) filled() (Options, error) {
	if (o.Service == "") == (o.Query == "") {
		return o, fmt.Errorf("consul: give either a service or a prepared query")
	}
	name := o.Service + o.Query
	if err := checkName(name); err != nil {
		return o, err
	}
	if o.Query != "" && (len(o.Tags) > 0 || o.Filter != "" || len(o.Failover) > 0) {
		return o, fmt.Errorf("consul query %q: tags, filter and failover belong into the prepared query itself", name)
	}
	for i, datacenter := range o.Failover {
		if datacenter == "" {
			return o, fmt.Errorf("consul service %q: failover datacenter %d has no name", name, i+1)
		}
	}
	for _, d := range []struct {
		name             string
		value            *time.Duration
		otherwise, limit time.Duration
	}{
		{"wait", &o.Wait, defaultWait, maxWait},
		{"poll", &o.Poll, defaultPoll, 0},
		{"grace", &o.Grace, defaultGrace, 0},
	} {
		if *d.value == 0 {
			*d.value = d.otherwise
		}
		if *d.value < time.Millisecond || d.limit > 0 && *d.value > d.limit {
			return o, fmt.Errorf("consul service %q: %s is %s: write 1ms or more%s", name, d.name, *d.value, upTo(d.limit))
		}
	}
	return o, nil
}

func upTo(limit time.Duration) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf(", %s at most", limit)
}

// checkName refuses what would turn the path of a request into another one.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		return fmt.Errorf("consul: %q is no name of a service: it has no blank and no slash", name)
	}
	return nil
}
