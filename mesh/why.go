package mesh

import (
	"context"
	"io"
	"net/url"
	"time"

	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/diagnose"
)

// Reasons is why requests failed, and who was asked.
type Reasons struct {
	*why.Report
	// Peers are the proxies that were asked. Their Hops are those of their digests.
	Peers []Peer
}

// Why asks every proxy for what failed in the time until now, and puts it together.
func (c *Client) Why(ctx context.Context, since time.Duration) *Reasons {
	answers, peers := askSince(ctx, c, "/why", since, why.Parse)
	var digests []*why.Digest
	for i, answer := range answers {
		digests = append(digests, answer...)
		peers[i].Hops = 0
		for _, d := range answer {
			for _, g := range d.Groups {
				peers[i].Hops += len(g.Hops)
			}
		}
	}
	return &Reasons{why.Merge(digests), peers}
}

// askSince asks every proxy a question about the time until now, and parses its answer.
func askSince[T any](ctx context.Context, c *Client, path string, since time.Duration, parse func([]byte) (*T, error)) ([][]*T, []Peer) {
	return Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]*T, error) {
		answer, err := p.Get(ctx, path+"?"+url.Values{"since": {since.String()}}.Encode())
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		text, err := io.ReadAll(answer)
		if err != nil {
			return nil, broken(err)
		}
		parsed, err := parse(text)
		if err != nil {
			return nil, err
		}
		return []*T{parsed}, nil
	})
}

// Answered is how many of the proxies gave a whole answer.
func (r *Reasons) Answered() int { return answered(r.Peers) }

// AppendText appends the report, and who did not answer.
func (r *Reasons) AppendText(dst []byte, o diagnose.TextOptions) []byte {
	if r.Answered() > 0 {
		dst = append(r.Report.AppendText(dst, o), '\n')
	}
	return appendPeers(dst, r.Peers)
}

// MarshalJSON writes the report and the peers.
func (r *Reasons) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		*why.Report
		Peers []peer `json:"peers"`
	}{r.Report, newPeers(r.Peers)})
}
