package mesh

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hopscope/hopscope/mesh/top"
)

// UnderWay is a request under way at one proxy.
type UnderWay struct {
	TraceID    string        `json:"trace_id"`
	SpanID     string        `json:"span_id"`
	Service    string        `json:"service"`
	Direction  string        `json:"direction"`
	Start      time.Time     `json:"start"`
	DurationNS time.Duration `json:"duration_ns"`
	Slow       bool          `json:"slow"`
	Method     string        `json:"method"`
	Host       string        `json:"host"`
	Path       string        `json:"path"`
	Attempts   int           `json:"attempts"`
	Endpoint   string        `json:"endpoint"`
	WaitsFor   string        `json:"waits_for"`
}

// Actives are the requests under way in a mesh.
type Actives struct {
	// Requests are those under way for longest, the longest first. A request is there once
	// for each proxy that it is at.
	Requests []UnderWay
	Peers    []Peer
}

// Active asks every proxy for the requests under way, and returns those that have been for
// longest, at most most of them.
func (c *Client) Active(ctx context.Context, most int) *Actives {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]UnderWay, error) {
		answer, err := p.Get(ctx, fmt.Sprintf("/hops?active=1&limit=%d", most))
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		var all []UnderWay
		_, err = decodeList(answer, most, func(item []byte) {
			var u UnderWay
			if json.Unmarshal(item, &u) == nil && u.check() {
				all = append(all, u)
			}
		})
		return all, err
	})
	all := slices.Concat(answers...)
	slices.SortStableFunc(all, func(a, b UnderWay) int { return cmp.Compare(b.DurationNS, a.DurationNS) })
	return &Actives{all[:min(len(all), most)], peers}
}

// check reports whether the request makes sense, and makes its texts such that they can be
// shown.
func (u *UnderWay) check() bool {
	id, err := ParseID(u.TraceID)
	if err != nil || !plausible(u.DurationNS) || u.Attempts < 0 {
		return false
	}
	u.TraceID = id.String()
	for _, text := range []*string{&u.SpanID, &u.Service, &u.Direction, &u.Method, &u.Host, &u.Path, &u.Endpoint, &u.WaitsFor} {
		*text = clean(*text)
	}
	return true
}

// Answered is how many of the proxies gave a whole answer.
func (a *Actives) Answered() int { return answered(a.Peers) }

// AppendText appends a line for each request.
func (a *Actives) AppendText(dst []byte) []byte {
	for i := range a.Requests {
		u := &a.Requests[i]
		slow := ""
		if u.Slow {
			slow = ", slow"
		}
		to := ""
		if u.Endpoint != "" {
			to = " of " + u.Endpoint
		}
		dst = fmt.Appendf(dst, "%8s  %s %s  %s %s%s  waits for %s%s%s  %s\n", u.DurationNS.Round(time.Millisecond), u.Service, u.Direction,
			u.Method, u.Host, u.Path, u.WaitsFor, to, slow, u.TraceID)
	}
	if len(a.Requests) == 0 {
		dst = append(dst, "no request is under way\n"...)
	}
	return appendPeers(dst, a.Peers)
}

// MarshalJSON writes the requests and the peers.
func (a *Actives) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Requests []UnderWay `json:"requests"`
		Notes    []string   `json:"notes"`
		Peers    []peer     `json:"peers"`
	}{list(a.Requests), []string{}, newPeers(a.Peers)})
}

// Rates are a table of rates, and who was asked.
type Rates struct {
	*top.Table
	Peers []Peer
}

// MarshalJSON writes the table and the peers.
func (r Rates) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		*top.Table
		Peers []peer `json:"peers"`
	}{r.Table, newPeers(r.Peers)})
}
