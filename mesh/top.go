package mesh

import (
	"context"
	"encoding/json"

	"github.com/hopscope/hopscope/mesh/top"
)

// Top asks every proxy for what it has counted since its start. The counts are by the
// address of the proxy.
func (c *Client) Top(ctx context.Context) (map[string]*top.Counts, []Peer) {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]*top.Counts, error) {
		answer, err := p.Get(ctx, "/top")
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		counts := new(top.Counts)
		if err := json.NewDecoder(answer).Decode(counts); err != nil {
			return nil, broken(err)
		}
		if err := counts.Check(); err != nil {
			return nil, err
		}
		return []*top.Counts{counts}, nil
	})
	all := map[string]*top.Counts{}
	for i, answer := range answers {
		for _, counts := range answer {
			all[peers[i].Address] = counts
		}
	}
	return all, peers
}

// AnyAnswered reports whether one of the proxies gave a whole answer.
func AnyAnswered(peers []Peer) bool { return answered(peers) > 0 }

// AppendPeers says which proxies did not answer, and why.
func AppendPeers(dst []byte, peers []Peer) []byte { return appendPeers(dst, peers) }
