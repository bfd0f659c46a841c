package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// Changes are what a reload changed.
type Changes struct {
	Listeners Difference `json:"listeners"`
	Clusters  Difference `json:"clusters"`
	// Settings are the keys of all else.
	Settings []string `json:"settings"`
}

// Difference is what came, went and changed, by name.
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

// changes tells two configurations apart.
func changes(old, c *config.Config) Changes {
	byName := func(c *config.Config) map[string]config.Listener {
		all := map[string]config.Listener{}
		for _, l := range c.Listeners {
			all[l.Name] = l
		}
		return all
	}
	return Changes{
		Listeners: difference(byName(old), byName(c)),
		Clusters:  difference(old.Clusters, c.Clusters),
		Settings:  differing(settings(old), settings(c)),
	}
}

func difference[T any](old, now map[string]T) Difference {
	d := Difference{[]string{}, []string{}, []string{}}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		before, was := old[name]
		switch {
		case !was:
			d.Added = append(d.Added, name)
		case !reflect.DeepEqual(before, now[name]):
			d.Changed = append(d.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, is := now[name]; !is {
			d.Removed = append(d.Removed, name)
		}
	}
	return d
}

// setting is a key that is neither a listener's nor a cluster's.
type setting struct {
	key   string
	value any
}

// settings are those that a reload changes.
func settings(c *config.Config) []setting {
	t := &c.Telemetry
	return []setting{
		{"consul", c.Consul},
		{"catalog", c.Catalog},
		{"register", c.Register},
		{"discovery", c.Discovery},
		{"locality", c.Locality},
		{"telemetry.traces.sample", t.Traces.Sample},
		{"telemetry.traces.extract", t.Traces.Extract},
		{"telemetry.traces.inject", t.Traces.Inject},
		{"telemetry.slow_threshold", t.SlowThreshold},
		{"drain", c.Drain},
		{"log", c.Log},
	}
}

// fixed are those that it can't change: what they made is not of a generation.
func fixed(c *config.Config) []setting {
	t := &c.Telemetry
	return []setting{
		{"service", c.Service},
		{"admin", c.Admin},
		{"telemetry.traces.otlp", t.Traces.OTLP},
		{"telemetry.traces.zipkin", t.Traces.Zipkin},
		{"telemetry.access_log", t.AccessLog},
		{"telemetry.metrics", t.Metrics},
		{"telemetry.store", t.Store},
		{"upgrade_socket", c.UpgradeSocket},
	}
}

// differing are the keys whose values differ.
func differing(old, now []setting) []string {
	keys := []string{}
	for i, s := range now {
		if !reflect.DeepEqual(old[i].value, s.value) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// unchangeable says which keys would have to change that can't.
func unchangeable(old, c *config.Config) error {
	var mistakes []error
	for _, key := range differing(fixed(old), fixed(c)) {
		mistakes = append(mistakes, fmt.Errorf("%s can't change while running: restart, or take over without losing a connection by hopscope run --upgrade", key))
	}
	return errors.Join(mistakes...)
}
