package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/resources"
)

// Changes are what a reload changed.
type Changes struct {
	Listeners Difference `json:"listeners"`
	Clusters  Difference `json:"clusters"`
	// Settings are the keys of all else.
	Settings []string `json:"settings"`
}

// Difference is what was added, removed and changed, by name.
type Difference struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

// None reports whether nothing changed.
func (c Changes) None() bool {
	return c.Listeners.none() && c.Clusters.none() && len(c.Settings) == 0
}

func (d Difference) none() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// String names the changes in words.
func (c Changes) String() string {
	var all []string
	say := func(what string, names []string) {
		if len(names) > 0 {
			all = append(all, what+" "+strings.Join(names, ", "))
		}
	}
	for _, d := range []struct {
		of string
		Difference
	}{{"listeners", c.Listeners}, {"clusters", c.Clusters}} {
		say(d.of+" added:", d.Added)
		say(d.of+" removed:", d.Removed)
		say(d.of+" changed:", d.Changed)
	}
	say("settings changed:", c.Settings)
	if len(all) == 0 {
		return "nothing changed"
	}
	return strings.Join(all, "; ")
}

// changes are what differs in the configuration.
func changes(d *resources.Delta) Changes {
	return Changes{
		Listeners: Difference{names(d.Listeners.Added), names(d.Listeners.Removed), names(d.Listeners.Changed)},
		Clusters:  Difference{configured(d.Clusters.Added), configured(d.Clusters.Removed), configured(d.Clusters.Changed, d.Kept)},
		Settings:  names(d.Settings),
	}
}

// names returns a copy that is not nil, for JSON.
func names(all []string) []string { return append([]string{}, all...) }

// configured returns the names of the resources that the configuration has, sorted.
func configured(lists ...[]resources.ID) []string {
	all := []string{}
	for _, id := range slices.Concat(lists...) {
		if id.Origin == resources.Configuration {
			all = append(all, id.Name)
		}
	}
	slices.Sort(all)
	return all
}

// unchangeable returns an error for each key that changed and can't.
func unchangeable(d *resources.Delta) error {
	var mistakes []error
	for _, key := range d.Fixed {
		mistakes = append(mistakes, fmt.Errorf("%s can't change while running: restart, or take over without losing a connection by hopscope run --upgrade", key))
	}
	return errors.Join(mistakes...)
}
