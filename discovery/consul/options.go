package consul

import (
	"fmt"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
)

// Options say which endpoints a source delivers, and how it asks for them.
type Options struct {
	// Service is the name of a service, Query the name or ID of a prepared query: set one
	// of them. Consul decides which endpoints a prepared query has; it leaves out critical
	// ones.
	Service, Query string
	// Datacenter is the datacenter to ask for. Empty is the agent's own.
	Datacenter string
	// Failover are further datacenters. Endpoints of the first have priority 1, of the
	// second 2, and so on.
	Failover []string
	// Namespace and Partition are for Consul Enterprise.
	Namespace, Partition string
	// Tags are those that an instance must have, all of them.
	Tags []string
	// Filter is an expression in Consul's language: Service.Meta.version == "2".
	Filter string
	// Near is the name of a node, or _agent: instances are sorted by their distance from
	// it. Empty sorts them by address.
	Near string
	// OnlyPassing makes an instance with a warning unhealthy instead of degraded.
	OnlyPassing bool
	// Stale lets any of Consul's servers answer, even one that lags behind.
	Stale bool
	// Wait is how long Consul may hold a question until something changes. 0 is 5 min; the
	// most is 10.
	Wait time.Duration
	// Poll is how often to ask for a prepared query, since Consul does not hold those
	// questions. 0 is 10 s.
	Poll time.Duration
	// Grace is how long a service stays that a Consul which was away no longer knows. 0 is
	// 10 min.
	Grace time.Duration
	// Backoff is the pause after a question that failed.
	Backoff discovery.Backoff
	// Known is what Consul said before, to another source; nil is nothing. It stays until
	// Consul says otherwise, by the same rules as this source's own answers.
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
