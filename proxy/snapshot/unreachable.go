package snapshot

import (
	"fmt"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/route"
)

// UnreachableRoute is a route that no request takes.
type UnreachableRoute struct {
	Listener string
	Number   int // among the routes of the listener, from 1 on
	Name     string
	// Before and BeforeName are a route before it that takes all of its requests; 0 for a
	// route whose own conditions no request meets.
	Before     int
	BeforeName string
}

func (u *UnreachableRoute) String() string {
	return fmt.Sprintf("listener %s: route %d (%s) is never taken: %s", u.Listener, u.Number, u.Name, u.Why())
}

// Why says why no request takes the route.
func (u *UnreachableRoute) Why() string {
	if u.Before == 0 {
		return "no request meets all of its conditions"
	}
	return fmt.Sprintf("route %d (%s) before it takes all of its requests", u.Before, u.BeforeName)
}

// Unreachable are the routes of a valid configuration that no request takes, as far as their
// matches tell for sure.
func Unreachable(c *config.Config) (all []UnreachableRoute) {
	set := resources.FromConfig(c)
	for i := range c.Listeners {
		name := c.Listeners[i].Name
		if t := set.Routes[resources.ID{Origin: resources.Configuration, Name: name}]; t != nil {
			all = append(all, unreachable(name, t.Routes)...)
		}
	}
	return all
}

// unreachable are the routes of one listener that no request takes.
func unreachable(listener string, routes []resources.Route) (all []UnreachableRoute) {
	matches := matchesOf(routes)
	covers := route.NewCovers(matches)
	for i := range matches {
		one := UnreachableRoute{Listener: listener, Number: i + 1, Name: routes[i].Name}
		if by := covers.Before(i); by >= 0 {
			one.Before, one.BeforeName = by+1, routes[by].Name
		} else if !matches[i].Never() {
			continue
		}
		all = append(all, one)
	}
	return all
}

// RouteNames are the names of a listener's routes, in their order.
func RouteNames(c *config.Config, listener string) (names []string) {
	if t := resources.FromConfig(c).Routes[resources.ID{Origin: resources.Configuration, Name: listener}]; t != nil {
		for i := range t.Routes {
			names = append(names, t.Routes[i].Name)
		}
	}
	return names
}
