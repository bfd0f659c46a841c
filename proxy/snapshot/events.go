package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

// mostEvents is how many events are remembered.
const mostEvents = 512

// note remembers what happened to a cluster, or to an endpoint of it.
func (p *Proxy) note(kind events.Kind, cluster, endpoint, text string) {
	p.events.Note(events.Event{Time: time.Now(), Kind: kind, Service: p.service, Cluster: cluster, Endpoint: endpoint, Text: text})
}

// noteOwn remembers what happened to the proxy itself.
func (p *Proxy) noteOwn(kind events.Kind, text string) { p.note(kind, "", "", text) }

// noteRejected remembers that a configuration was refused, and its first mistake.
func (p *Proxy) noteRejected(err error) {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	text := "a new configuration was rejected; the old one stays in use: " + first
	if n := strings.Count(rest, "\n") + 1; rest != "" {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	p.noteOwn(events.ReloadRejected, text)
}

// eventsSince returns what happened at t or later. That a certificate expired is no news
// that anybody brings: it is found here.
func (p *Proxy) eventsSince(t time.Time) []events.Event {
	all, now := p.events.Since(t), time.Now()
	p.current.Load().eachTLS(func(kind, name string, s tlsStats) {
		_, _, end := s()
		if end.IsZero() || end.After(now) || end.Before(t) {
			return
		}
		e := events.Event{Time: end, Last: end, Count: 1, Kind: events.CertificateExpired, Service: p.service,
			Text: fmt.Sprintf("a certificate of %s %s expired", kind, name)}
		if kind == "cluster" {
			e.Cluster = name
		}
		all = append(all, e)
	})
	slices.SortStableFunc(all, func(a, b events.Event) int { return a.Time.Compare(b.Time) })
	return all
}
