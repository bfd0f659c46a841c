package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Presence is who of a mesh answers.
type Presence struct {
	// Mesh is the name of the mesh.
	Mesh string
	// Members have what they answer now. One that does not answer has what was known of it, and
	// an Error.
	Members []Member
	Peers   []Peer
}

// Present asks every proxy who it is.
func (c *Client) Present(ctx context.Context, name string) *Presence {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]Member, error) {
		found := p.Member
		answer, err := p.Get(ctx, "/self")
		if err != nil {
			return []Member{found}, err
		}
		defer answer.Close()
		var told Member
		if err := json.NewDecoder(answer).Decode(&told); err != nil {
			return []Member{found}, broken(err)
		}
		told.Address, told.Self, told.Error = found.Address, found.Self, ""
		if told.Check() != nil || told.Service == "" || told.Since.After(time.Now().Add(maxDuration)) {
			return []Member{found}, errors.New("what it says of itself makes no sense")
		}
		return []Member{told}, nil
	})
	p := &Presence{Mesh: name, Peers: peers}
	for i, answer := range answers {
		for _, m := range answer {
			peers[i].Hops, m.Error = 0, ""
			if peers[i].Err != nil {
				m.Error = peers[i].Err.Error()
			}
			p.Members = append(p.Members, m)
		}
	}
	return p
}

// MarshalJSON writes the members, as /v1/peers does.
func (p *Presence) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Mesh  string   `json:"mesh"`
		Peers []Member `json:"peers"`
		Notes []string `json:"notes"`
	}{p.Mesh, list(p.Members), []string{}})
}
