package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The headers of the API under /v1/ that are about proxies, not about what they know.
const (
	// HeaderProcess has an id of the process that answered, other for each. Every answer
	// under /v1/ has it, so a client sees that two addresses lead to one proxy.
	HeaderProcess = "Hopscope-Process"
	// HeaderRelay is in a request that a member relays, which must not be relayed again,
	// and in the answer of a member that could not relay.
	HeaderRelay = "Hopscope-Relay"
)

// maxMembers is how many members of a mesh one proxy may list.
const maxMembers = 10_000

// Member is a proxy of a mesh, as one of them lists it.
type Member struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	// Address is the host and port of its admin API.
	Address string `json:"address"`
	Version string `json:"version"`
	// Since is when it started; zero if that is not known.
	Since time.Time `json:"since,omitzero"`
	// Self marks the proxy that lists the members.
	Self bool `json:"self"`
	// Error is why it could not be asked who it is; empty if it could.
	Error string `json:"error"`
}

// Members are what a proxy answers to /v1/peers.
type Members struct {
	// Mesh is the name of the mesh; empty if the proxy belongs to none.
	Mesh string `json:"mesh"`
	// Peers are all members, the proxy that lists them among them.
	Peers []Member `json:"peers"`
}

// decodeMembers reads an answer to /v1/peers. It leaves out what makes no sense, and says
// so in an error beside the rest.
func decodeMembers(r io.Reader) (m Members, err error) {
	d := json.NewDecoder(r)
	if err := d.Decode(&m); err != nil {
		return Members{}, fmt.Errorf("its list of members: %w", broken(err))
	}
	if len(m.Peers) > maxMembers {
		return Members{}, errors.New("its list of members is too long")
	}
	left, kept := 0, m.Peers[:0]
	for _, p := range m.Peers {
		if p.Check() != nil {
			left++
			continue
		}
		kept = append(kept, p)
	}
	m.Mesh, m.Peers = clean(m.Mesh), kept
	if left > 0 {
		err = fmt.Errorf("%d of the %d members that it lists were left out: they make no sense", left, left+len(kept))
	}
	return m, err
}

// Check refuses a member that can't be asked, and makes its texts such that a terminal can
// show them. The proxy that lists itself may not know its address.
func (m *Member) Check() (err error) {
	if m.Address, err = parseAddress(m.Address, "http"); err != nil && !m.Self {
		return err
	}
	for _, text := range []*string{&m.Service, &m.Instance, &m.Version, &m.Error} {
		*text = clean(*text)
	}
	return nil
}
