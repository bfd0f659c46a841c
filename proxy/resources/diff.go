package resources

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/config"
)

// Delta is what makes one set of another.
type Delta struct {
	Listeners Difference[string]
	// Sockets are those of the changed listeners whose socket changed, or how its
	// connections are read. The others keep their socket and their connections.
	Sockets []string
	// Reordered is true where the listeners that are in both sets changed their order.
	Reordered bool
	Routes    Difference[ID]
	// Clusters that changed have to be made anew.
	Clusters Difference[ID]
	// Endpoints are clusters of which only the endpoints changed that they are fed.
	Endpoints []ID
	// Kept are clusters that go on as they are, though something else is written of them:
	// what their routes go by, or what they had from elsewhere.
	Kept    []ID
	Secrets Difference[SecretID]
	// Settings are the keys of those that changed.
	Settings []string
	// Fixed are the keys of those that changed, and can't while the proxy runs.
	Fixed []string
}

// Difference is what was added, removed and changed, by name, in order.
type Difference[K any] struct{ Added, Removed, Changed []K }

// None reports whether nothing is different.
func (d Difference[K]) None() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// None reports whether the two sets are the same.
func (d *Delta) None() bool {
	return d.Listeners.None() && !d.Reordered && d.Routes.None() && d.Clusters.None() && d.Secrets.None() &&
		len(d.Endpoints)+len(d.Kept)+len(d.Settings)+len(d.Fixed) == 0
}

// Diff says what differs between two sets.
func Diff(old, now *Set) *Delta {
	d := &Delta{
		Routes:  difference(old.Routes, now.Routes, ID.Compare, (*RouteTable).same),
		Secrets: difference(old.Secrets, now.Secrets, SecretID.Compare, (*Secret).Same),
	}
	d.listeners(old.Listeners, now.Listeners)
	d.Clusters = difference(old.Clusters, now.Clusters, ID.Compare, func(a, b *Cluster) bool {
		switch {
		case a == b:
		case !a.Same(b):
			return false
		case !sameEndpoints(a.Fed, b.Fed):
			d.Endpoints = append(d.Endpoints, b.ID)
		case !reflect.DeepEqual(a.Written, b.Written):
			d.Kept = append(d.Kept, b.ID)
		}
		return true
	})
	slices.SortFunc(d.Endpoints, ID.Compare)
	slices.SortFunc(d.Kept, ID.Compare)
	d.settings(old.Settings, now.Settings)
	if !maps.EqualFunc(old.Auth, now.Auth, func(a, b *config.BasicAuth) bool { return reflect.DeepEqual(a, b) }) {
		d.Settings = append(d.Settings, "catalog.auth")
	}
	return d
}

func difference[K comparable, V any](old, now map[K]V, compare func(a, b K) int, same func(a, b V) bool) (d Difference[K]) {
	for name, v := range now {
		if before, ok := old[name]; !ok {
			d.Added = append(d.Added, name)
		} else if !same(before, v) {
			d.Changed = append(d.Changed, name)
		}
	}
	for name := range old {
		if _, ok := now[name]; !ok {
			d.Removed = append(d.Removed, name)
		}
	}
	slices.SortFunc(d.Added, compare)
	slices.SortFunc(d.Removed, compare)
	slices.SortFunc(d.Changed, compare)
	return d
}

func (d *Delta) listeners(old, now []*Listener) {
	before, after := byName(old), byName(now)
	d.Listeners = difference(before, after, strings.Compare, (*Listener).same)
	for _, name := range d.Listeners.Changed {
		if !reflect.DeepEqual(before[name].Socket, after[name].Socket) {
			d.Sockets = append(d.Sockets, name)
		}
	}
	d.Reordered = !slices.Equal(namesIn(old, after), namesIn(now, before))
}

func byName(all []*Listener) map[string]*Listener {
	m := make(map[string]*Listener, len(all))
	for _, l := range all {
		m[l.Name] = l
	}
	return m
}

// namesIn are the names of the listeners that are in another set too, in order.
func namesIn(all []*Listener, other map[string]*Listener) (names []string) {
	for _, l := range all {
		if other[l.Name] != nil {
			names = append(names, l.Name)
		}
	}
	return names
}

func (d *Delta) settings(old, now []Setting) {
	before := map[string]any{}
	for _, s := range old {
		before[s.Key] = s.Value
	}
	for _, s := range now {
		value, ok := before[s.Key]
		delete(before, s.Key)
		switch {
		case ok && reflect.DeepEqual(value, s.Value):
		case s.Fixed:
			d.Fixed = append(d.Fixed, s.Key)
		default:
			d.Settings = append(d.Settings, s.Key)
		}
	}
	d.Settings = append(d.Settings, slices.Sorted(maps.Keys(before))...)
}

// Same reports whether one running cluster does for both: they differ at most in
// how they are written and in the endpoints that they are fed.
func (c *Cluster) Same(other *Cluster) bool {
	return c.ID == other.ID && c.Zone == other.Zone && (c.Fed == nil) == (other.Fed == nil) &&
		(c.Settings == other.Settings || reflect.DeepEqual(c.Settings, other.Settings))
}

// sameEndpoints compares what clusters are fed: not when it was known, and not why it
// may be out of date, but whether it may.
func sameEndpoints(a, b *Endpoints) bool {
	if a == nil || b == nil {
		return a == b
	}
	return (a.Err == nil) == (b.Err == nil) && a.Missing == b.Missing && discovery.Equal(a.Endpoints, b.Endpoints)
}

// Same reports whether the TLS of one does for both.
func (s *Secret) Same(other *Secret) bool {
	return s == other || reflect.DeepEqual(s, other)
}

func (l *Listener) same(other *Listener) bool {
	return l == other || reflect.DeepEqual(l, other)
}

func (t *RouteTable) same(other *RouteTable) bool {
	return t == other || reflect.DeepEqual(t, other)
}
