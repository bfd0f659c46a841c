package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/mesh"
)

// How a member is asked who it is: at most so often, for so long, so many at once, and so
// many bytes of its answer.
const (
	askEvery  = 10 * time.Second
	askTime   = 2 * time.Second
	askAtOnce = 32
	maxAnswer = 64 << 10
)

// Options say what mesh it is, and who this proxy is.
type Options struct {
	// Name is the mesh's. Proxies of a mesh with another name are no members.
	Name string
	// Self is this proxy. Its address is used where no other one leads to it.
	Self mesh.Member
	// Process is the id that the answers of this proxy's admin API have.
	Process string
	// IsSelf reports whether an address leads to this proxy; metadata is what a source says
	// of it.
	IsSelf func(address string, metadata map[string]string) bool
	// Caller asks members who they are.
	Caller *mesh.Caller
	// Log tells of proxies that are no members.
	Log *slog.Logger
}

// Peers are the members of a mesh. Use [New], and close it.
type Peers struct {
	options Options
	context context.Context
	cancel  context.CancelFunc
	asking  sync.WaitGroup
	places  chan struct{}

	mu      sync.Mutex
	self    mesh.Member
	found   [][]discovery.Endpoint // of each source
	members map[string]*member     // by address, without this proxy
}

// member is a member, and when it was last asked who it is.
type member struct {
	mesh.Member
	told    bool // its source says who it is
	foreign bool // it belongs to another mesh, or is this proxy at another address
	asked   time.Time
	answer  chan struct{} // closed when it has answered for the first time, or has not in time
}

// New returns the members at these addresses, and this proxy.
func New(o Options, addresses []string) *Peers {
	p := &Peers{options: o, self: o.Self, members: map[string]*member{}, places: make(chan struct{}, askAtOnce)}
	p.context, p.cancel = context.WithCancel(context.Background())
	p.self.Self = true
	p.source() // that of the addresses
	p.List(addresses)
	return p
}

// List takes other addresses in place of those of [New]. Who was known stays known.
func (p *Peers) List(addresses []string) {
	var static []discovery.Endpoint
	for _, address := range addresses {
		static = append(static, discovery.Endpoint{Address: address})
	}
	p.learned(0, static)
}

// Follow adds the members that a source finds, as they come and go. What it found last
// counts as long as it can't be asked.
func (p *Peers) Follow(source discovery.Source) {
	n := p.source()
	p.asking.Go(func() {
		source.Run(p.context, func(u discovery.Update) {
			if u.Endpoints != nil || u.Err == nil {
				p.learned(n, u.Endpoints)
			}
		})
	})
}

// source makes a place for what one more source finds.
func (p *Peers) source() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = append(p.found, nil)
	return len(p.found) - 1
}

// learned takes over what a source has found.
func (p *Peers) learned(source int, endpoints []discovery.Endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found[source] = endpoints
	before := p.members
	p.members, p.self.Address = map[string]*member{}, p.options.Self.Address
	for _, e := range slices.Concat(p.found...) {
		if p.options.IsSelf(e.Address, e.Metadata) {
			p.self.Address = e.Address
			continue
		}
		m := before[e.Address]
		if m == nil {
			m = &member{Member: mesh.Member{Address: e.Address}, answer: make(chan struct{})}
		}
		if who, name, ok := mesh.FromMetadata(e.Address, e.Metadata); ok {
			who.Error = e.Why
			m.Member, m.told, m.foreign = who, true, name != p.options.Name
		}
		p.members[e.Address] = m
	}
}

// Close ends what is under way.
func (p *Peers) Close() {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.asking.Wait()
}

// Members lists the members, this proxy first. It asks those who they are that it has not
// asked of late, and waits for those that it has never asked until ctx is over. A ctx that
// is over already makes it ask nobody.
func (p *Peers) Members(ctx context.Context) []mesh.Member {
	for _, first := range p.ask(ctx) {
		select {
		case <-first:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var others []mesh.Member
	for _, m := range p.members {
		if !m.foreign {
			others = append(others, m.Member)
		}
	}
	slices.SortFunc(others, func(a, b mesh.Member) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Address, b.Address))
	})
	return append([]mesh.Member{p.self}, others...)
}

// ask has members asked who they are, and returns what to wait for.
func (p *Peers) ask(ctx context.Context) (first []chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil || p.context.Err() != nil {
		return nil
	}
	now := time.Now()
	for _, m := range p.members {
		if m.told {
			continue
		}
		if m.asked.IsZero() || now.Sub(m.asked) >= askEvery {
			never := m.asked.IsZero()
			m.asked = now
			address := m.Address
			p.asking.Go(func() { p.learn(m, address, never) })
		}
		first = append(first, m.answer)
	}
	return first
}

// learn asks a member who it is.
func (p *Peers) learn(m *member, address string, never bool) {
	if never {
		defer close(m.answer)
	}
	select {
	case p.places <- struct{}{}:
	case <-p.context.Done():
		return
	}
	defer func() { <-p.places }()
	ctx, cancel := context.WithTimeout(p.context, askTime)
	defer cancel()
	found, name, process, err := who(ctx, p.options.Caller, address)
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.told {
		return
	}
	if err != nil { // who it was before is still known
		m.Error = err.Error()
		return
	}
	found.Address, found.Self, found.Error = address, false, ""
	was, isSelf := m.foreign, process == p.options.Process
	m.Member, m.foreign = found, isSelf || name != p.options.Name
	if m.foreign && !was && !isSelf {
		p.options.Log.Warn("a peer belongs to another mesh, and is not asked", "address", address, "mesh", name)
	}
}

// who asks an address who answers there, in which mesh and with which id of its process.
func who(ctx context.Context, caller *mesh.Caller, address string) (m mesh.Member, name, process string, err error) {
	resp, err := caller.Send(ctx, mesh.Call{Method: http.MethodGet, Address: address, Path: "/self"})
	if err != nil {
		if ctx.Err() != nil {
			return m, "", "", fmt.Errorf("no answer within %v", askTime)
		}
		return m, "", "", mesh.Plainly(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return m, "", "", errors.New("it refuses this proxy's credential")
	case http.StatusNotFound:
		return m, "", "", errors.New("it is no hopscope, or of a version that does not say who it is")
	default:
		return m, "", "", fmt.Errorf("it answered %d", resp.StatusCode)
	}
	m, name, err = decode(resp.Body, address)
	return m, name, resp.Header.Get(mesh.HeaderProcess), err
}

// decode reads an answer to /v1/self, of a member that does not know its address.
func decode(answer io.Reader, address string) (m mesh.Member, name string, err error) {
	var who struct {
		Mesh string
		mesh.Member
	}
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(&who); err != nil {
		return m, "", errors.New("its answer makes no sense")
	}
	who.Address = address
	if err := who.Check(); err != nil {
		return m, "", err
	}
	return who.Member, who.Mesh, nil
}
