package mesh

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

// maxEvents is how many events one proxy may tell of.
const maxEvents = 2000

// Event is what happened to a proxy of a mesh.
type Event struct {
	events.Event
	// Proxy is the address of the proxy's admin API, Instance which one of its service it is.
	Proxy    string `json:"proxy"`
	Instance string `json:"instance"`
}

// History is what happened in a mesh.
type History struct {
	// Events are those of all proxies, the earliest first.
	Events []Event
	Peers  []Peer
}

// Events asks every proxy for what happened to it in the time until now.
func (c *Client) Events(ctx context.Context, since time.Duration) *History {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) (all []Event, err error) {
		answer, err := p.Get(ctx, "/events?"+url.Values{"since": {since.String()}}.Encode())
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		_, err = decodeList(answer, maxEvents, func(item []byte) {
			e := Event{Proxy: p.Address, Instance: p.Instance}
			if json.Unmarshal(item, &e.Event) == nil && e.check() {
				all = append(all, e)
			}
		})
		return all, err
	})
	all := slices.Concat(answers...)
	slices.SortStableFunc(all, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return &History{all, peers}
}

// check reports whether the event makes sense, and makes its texts such that they can be
// shown.
func (e *Event) check() bool {
	if e.Time.Year() < 1970 || e.Last.Before(e.Time) || e.Last.Year() > 2200 {
		return false
	}
	e.Kind, e.Count = events.Kind(clean(string(e.Kind))), max(e.Count, 1)
	for _, text := range []*string{&e.Service, &e.Cluster, &e.Endpoint, &e.Text} {
		*text = clean(*text)
	}
	return e.Kind != ""
}

// MarshalJSON writes the events and the peers.
func (h *History) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Events []Event  `json:"events"`
		Notes  []string `json:"notes"`
		Peers  []peer   `json:"peers"`
	}{list(h.Events), []string{}, newPeers(h.Peers)})
}
