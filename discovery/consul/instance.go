package consul

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// Instance is an endpoint with what only Consul says of it.
type Instance struct {
	discovery.Endpoint
	ID   string   `json:",omitempty"` // of the service instance, unique on its node
	Tags []string `json:",omitempty"`
	Kind string   `json:",omitempty"` // such as connect-proxy; empty for what is no proxy

	// unchecked is true where its health is that which Consul gives to a check that
	// it has not made yet.
	unchecked bool
}

// The keys of an endpoint's metadata that Consul itself gives. All others are node and
// service meta; of two with the same key, the service's counts.
const (
	MetadataNode       = "consul.node"
	MetadataID         = "consul.id"
	MetadataDatacenter = "consul.datacenter"
	MetadataTags       = "consul.tags" // with commas between them
)

// view is how to see the instances of an answer, which depends on who asks.
type view struct {
	onlyPassing bool // a warning is as bad as critical
	remote      bool // they are in another datacenter: take the addresses for that
	ordered     bool // Consul's order means something: keep it
	priority    int
}

// instances are those of an answer that have an address, each address once, in a stable
// order.
func (v view) instances(entries []*api.ServiceEntry) []Instance {
	all := make([]Instance, 0, len(entries))
	for _, entry := range entries {
		if instance, ok := v.instance(entry); ok {
			all = append(all, instance)
		}
	}
	if v.ordered {
		return bestOfEach(all)
	}
	slices.SortStableFunc(all, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.ID, b.ID))
	})
	return bestOfEach(all)
}

// bestOfEach keeps one instance of each address. An instance that was registered anew under
// another ID leaves a critical one behind until Consul removes it.
func bestOfEach(all []Instance) []Instance {
	place := make(map[string]int, len(all))
	kept := all[:0]
	for _, instance := range all {
		at, twice := place[instance.Address]
		switch {
		case !twice:
			place[instance.Address] = len(kept)
			kept = append(kept, instance)
		case instance.Health < kept[at].Health:
			kept[at] = instance
		}
	}
	return kept
}

func (v view) instance(entry *api.ServiceEntry) (instance Instance, ok bool) {
	if entry == nil || entry.Service == nil || entry.Node == nil {
		return Instance{}, false
	}
	host, port := v.address(entry)
	if host == "" || port <= 0 || port > 65535 {
		return Instance{}, false // such as one on a Unix socket
	}
	health, weight := v.health(entry)
	metadata := metadata(entry)
	return Instance{
		Endpoint: discovery.Endpoint{
			Address:  net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port)),
			Weight:   weight,
			Priority: v.priority,
			Locality: locality(entry, metadata),
			Health:   health,
			Why:      why(entry.Checks, health),
			Metadata: metadata,
		},
		ID:   entry.Service.ID,
		Tags: entry.Service.Tags,
		Kind: string(entry.Service.Kind), unchecked: health == discovery.Unhealthy && unchecked(entry.Checks),
	}, true
}

// unchecked reports whether an instance is critical only because it was not checked yet.
// Consul counts a check of its own as critical until it has run once. So an instance that
// is registered again, as with an agent that lost its memory, is critical for a while
// however well it is.
func unchecked(all api.HealthChecks) bool {
	for _, c := range checks(all) {
		if c.Status == api.HealthCritical && (c.Output != "" || c.Type == "" || c.Type == "ttl") {
			return false
		}
	}
	return true
}

// presume gives instances that were not checked yet the health that they had before. New
// ones stay unhealthy: nothing is known of them.
func presume(before, now []Instance) {
	known := make(map[string]discovery.Health, len(before))
	for _, i := range before {
		known[i.Address] = i.Health
	}
	for k := range now {
		if health, ok := known[now[k].Address]; ok && now[k].unchecked && health < now[k].Health {
			now[k].Health, now[k].Why = health, ""
		}
	}
}

// address is the service's, or else its node's. From another datacenter the one that is
// tagged wan comes first, as with Consul's own translate_wan_addrs.
func (v view) address(entry *api.ServiceEntry) (host string, port int) {
	const wan = "wan"
	service, node := entry.Service, entry.Node
	if tagged, ok := service.TaggedAddresses[wan]; ok && v.remote && tagged.Address != "" {
		return tagged.Address, cmp.Or(tagged.Port, service.Port)
	}
	if service.Address != "" {
		return service.Address, service.Port
	}
	if v.remote {
		return cmp.Or(node.TaggedAddresses[wan], node.Address), service.Port
	}
	return node.Address, service.Port
}

// health judges the checks of an instance and of its node, of which the worst counts,
// and picks the weight that goes with the verdict. In a warning the weight may be 0,
// which is no traffic.
func (v view) health(entry *api.ServiceEntry) (discovery.Health, int) {
	weights := entry.Service.Weights
	if weights.Passing < 1 { // Consul takes no 0 here: it knows of no weights
		weights = api.AgentWeights{Passing: 1, Warning: 1}
	}
	status := checks(entry.Checks).AggregatedStatus()
	switch {
	case status == api.HealthMaint:
		return discovery.Draining, weights.Passing
	case status == api.HealthWarning && !v.onlyPassing:
		return discovery.Degraded, max(weights.Warning, 0)
	case status == api.HealthPassing:
		return discovery.Healthy, weights.Passing
	}
	return discovery.Unhealthy, weights.Passing
}

// maxWhy bounds what is told of a check, in bytes: its output may be a whole page.
const maxWhy = 150

// why quotes the check that decides on the health of an instance: its name, its state and
// its output.
func why(all api.HealthChecks, health discovery.Health) string {
	if health == discovery.Healthy {
		return ""
	}
	all = checks(all)
	worst := all.AggregatedStatus()
	for _, c := range all {
		if c.Status != worst && (worst != api.HealthMaint || !strings.HasPrefix(c.CheckID, "_node_maintenance") && !strings.HasPrefix(c.CheckID, "_service_maintenance")) {
			continue
		}
		text := fmt.Sprintf("check %q is %s", cmp.Or(c.Name, c.CheckID), c.Status)
		said := cmp.Or(c.Output, c.Notes)
		if said = strings.Join(strings.Fields(said), " "); said != "" {
			text += ": " + redact.Text(said)
		}
		if len(text) > maxWhy {
			text = strings.ToValidUTF8(text[:maxWhy], "") + "..."
		}
		return text
	}
	return ""
}

// checks drops those that are null, which the library would fall over.
func checks(all api.HealthChecks) api.HealthChecks {
	return slices.DeleteFunc(slices.Clone(all), func(c *api.HealthCheck) bool { return c == nil })
}

func metadata(entry *api.ServiceEntry) map[string]string {
	all := make(map[string]string, len(entry.Node.Meta)+len(entry.Service.Meta)+4)
	for key, value := range entry.Node.Meta {
		all[key] = value
	}
	for key, value := range entry.Service.Meta {
		all[key] = value
	}
	for key, value := range map[string]string{
		MetadataNode:       entry.Node.Node,
		MetadataID:         entry.Service.ID,
		MetadataDatacenter: entry.Node.Datacenter,
		MetadataTags:       strings.Join(entry.Service.Tags, ","),
	} {
		if value != "" {
			all[key] = value
		}
	}
	return all
}

// locality is Consul's own notion of it where it has one, and else meta of these names.
func locality(entry *api.ServiceEntry, metadata map[string]string) discovery.Locality {
	for _, l := range []*api.Locality{entry.Service.Locality, entry.Node.Locality} {
		if l != nil && *l != (api.Locality{}) {
			return discovery.Locality{Region: l.Region, Zone: l.Zone}
		}
	}
	return discovery.Locality{Region: metadata["region"], Zone: metadata["zone"]}
}

// endpoints leaves out what only Consul says.
func endpoints(instances []Instance) []discovery.Endpoint {
	all := make([]discovery.Endpoint, len(instances))
	for i, instance := range instances {
		all[i] = instance.Endpoint
	}
	return all
}
