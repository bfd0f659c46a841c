package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/route"
)

// Hosts are tried from the most specific to the least, as Fabio does, and if
// one has no path for a request, the next. Names of services are between: less
// than the same host in a tag, more than what a tag says of many hosts.
const (
	exactHost = iota
	serviceName
	hostsBelow
	anyHost
)

// ordered is a route and its rank among others.
type ordered struct {
	rank  int
	at    hostPath
	order int // among those of the same host and path
	Route
}

func byNameRoute(service string, hosts []string) ordered {
	return ordered{rank: serviceName, at: hostPath{host: hosts[0]}, Route: Route{Name: service, Match: route.Match{Hosts: hosts}, Cluster: service}}
}

// taggedRoutes are the route of a host and path, and before it one that is closed to the
// clients that have no access.
func taggedRoutes(at hostPath, how treatment, cluster string) []ordered {
	r := taggedRoute(at, how, cluster)
	if how.redirect != "" {
		r.Redirect, _ = ParseRedirect(how.redirect, how.strip) // it is valid
		r.Cluster = ""
	}
	if how.allow+how.deny == "" {
		return []ordered{r}
	}
	closed := taggedRoute(at, treatment{}, "")
	r.order = 1
	closed.Match.Clients, closed.Closed = networks(how.deny), "its tag has deny for these clients"
	if how.allow != "" {
		closed.Match.Not, closed.Closed = &route.Match{Clients: networks(how.allow)}, "its tag has allow for other clients"
	}
	return []ordered{closed, r}
}

func taggedRoute(at hostPath, how treatment, cluster string) ordered {
	r := ordered{rank: exactHost, at: at, Route: Route{
		Name: at.String(), Match: route.Match{PathPrefix: at.path, Methods: list(at.methods)}, Cluster: cluster,
		Attempts: how.limits.attempts, RetryOn: list(how.limits.retryOn), Idle: how.limits.idle, MaxRequests: how.limits.maxRequests, MaxBody: how.limits.maxBody,
		Strip: how.strip, Prepend: how.prepend, HostRewrite: how.host, Timeout: how.timeout, Compress: how.compress, Auth: how.auth,
	}}
	switch suffix, below := strings.CutPrefix(at.host, "*"); {
	case at.host == "":
		r.rank = anyHost
	case suffix == "" && below: // every host, and none
		r.rank = hostsBelow
	case below && suffix[0] != '.': // Fabio's * may also be nothing
		r.rank, r.Match.Hosts = hostsBelow, []string{at.host, suffix}
	case below:
		r.rank, r.Match.Hosts = hostsBelow, []string{at.host}
	default:
		r.Match.Hosts = []string{at.host}
	}
	return r
}

// list are the parts of a text with commas between them.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// byMethods puts what is for few methods before what is for many, or for all.
func byMethods(a, b string) int {
	if a == "" || b == "" {
		return strings.Compare(b, a)
	}
	return cmp.Or(cmp.Compare(strings.Count(a, ","), strings.Count(b, ",")), strings.Compare(a, b))
}

// sorted are the routes in the order in which to try them.
func sorted(routes []ordered) []Route {
	slices.SortFunc(routes, func(a, b ordered) int {
		c := cmp.Compare(a.rank, b.rank)
		if c == 0 && a.rank == hostsBelow {
			c = cmp.Compare(len(b.at.host), len(a.at.host))
		}
		return cmp.Or(c, strings.Compare(a.at.host, b.at.host), cmp.Compare(len(b.at.path), len(a.at.path)), strings.Compare(a.at.path, b.at.path),
			byMethods(a.at.methods, b.at.methods), cmp.Compare(a.order, b.order))
	})
	all := make([]Route, 0, len(routes))
	for _, r := range routes {
		all = append(all, r.Route)
	}
	return all
}
