package convert

import (
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// upgrades are the protocols that requests may change to: what the outer level says, but
// for what upgrade_configs of n say. True lets a protocol pass.
func (e *envoy) upgrades(n *node, outer map[string]bool) map[string]bool {
	all := maps.Clone(outer)
	for _, u := range n.list("upgrade_configs") {
		kind := strings.ToLower(u.str("upgrade_type"))
		if kind == "connect" || kind == "connect-udp" {
			u.readAll()
			e.left(u.line, u.path, "only a forward proxy takes CONNECT: see forward_proxy of a listener")
			continue
		}
		if all == nil {
			all = map[string]bool{}
		}
		all[kind] = !u.has("enabled") || u.truth("enabled")
	}
	return all
}

// upgrade gives a route the protocols that Envoy lets pass: by itself none.
func (s *filterSet) upgrade(e *envoy, r *config.Route, action *node) {
	allowed := s.upgradesOf(e, action)
	if len(r.Targets()) > 0 {
		s.try(e, r, action, func(r *config.Route) { r.Upgrades = allowed })
	}
}

func (s *filterSet) upgradesOf(e *envoy, action *node) (allowed []string) {
	for kind, passes := range e.upgrades(action, s.upgrades) {
		if passes {
			allowed = append(allowed, kind)
		}
	}
	if len(allowed) == 0 {
		return []string{"none"}
	}
	slices.Sort(allowed)
	return allowed
}
