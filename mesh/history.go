package mesh

import (
	"context"
	"time"

	"github.com/hopscope/hopscope/mesh/series"
)

// Series is the history of a mesh, and who was asked.
type Series struct {
	*series.Table
	Peers []Peer
}

// seriesDelay is how long after the end of a window all proxies know what was in it.
const seriesDelay = 2 * time.Second

// Series asks every proxy for what it has counted in each window of the time until now, and
// puts it together.
func (c *Client) Series(ctx context.Context, now time.Time, since time.Duration) *Series {
	answers, peers := askSince(ctx, c, "/series", since, series.Parse)
	var parts []series.Told
	for i, answer := range answers {
		for _, part := range answer {
			parts = append(parts, series.Told{Address: peers[i].Address, Part: part})
		}
	}
	windows := int((since + series.Window - 1) / series.Window)
	table := series.Merge(parts, now.Add(-seriesDelay), windows)
	for _, p := range parts {
		if p.Full {
			table.Notes = append(table.Notes, "the proxy of "+p.Service+" at "+p.Address+" had no room for all of its history")
		}
	}
	return &Series{table, peers}
}

// MarshalJSON writes the table and the peers.
func (s *Series) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		*series.Table
		Peers []peer `json:"peers"`
	}{s.Table, newPeers(s.Peers)})
}
