package mesh

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// The limits on what one proxy may answer to one question. An honest proxy stays below:
// its memory of hops has 16 MiB by default, for all traces.
const (
	maxBytes = 16 << 20
	maxHops  = 5000
	// maxHeader is the size of a response's header.
	maxHeader = 64 << 10
)

// How many proxies are asked at the same time: in all, and by way of one that relays.
const (
	atOnce       = 128
	relaysAtOnce = 32
)

// Options say whom a Client asks, and how.
type Options struct {
	// Admin are the addresses of the admin APIs of proxies of a mesh: host:port, or the URL
	// that a proxy logs. Each is asked for the members of its mesh, and relays to those.
	Admin []string
	// Peers are the addresses of proxies that are asked themselves, and for nobody else.
	Peers []string
	// Members are asked themselves, too. It is known already who they are.
	Members []Member
	// Access is how all of them are reached.
	Access
}

// Client asks the admin APIs of proxies. It is safe for concurrent use.
type Client struct {
	admin   []string
	peers   []Member
	members func(context.Context) []Member // asked themselves, too; may be nil
	send    Sender
	close   func()
	limits  limits
	caught  func(p any) // is told of panics; nil lets them end the process
}

// Sender sends a request, as [Caller.Send] does.
type Sender func(ctx context.Context, call Call) (*http.Response, error)

// limits bound what a question takes.
type limits struct {
	atOnce int   // so many proxies are asked at the same time
	each   int64 // bytes that one of them may answer
	all    int64 // bytes that all of them may answer together; 0 is no limit
}

// Peer is a proxy that was asked.
type Peer struct {
	// Address is the host and port of its admin API.
	Address string
	// Service and Instance name the proxy, if a member of its mesh did.
	Service, Instance string
	// Hops is how many hops, traces or other items of its answer count.
	Hops int
	// Err is why its answer is not there, or not whole; nil if it is.
	Err error
}

// New returns a client. An address that is given twice counts once.
func New(o Options) (*Client, error) {
	caller := NewCaller(o.Access)
	var mistakes []error
	parse := func(addresses []string) (peers []string) {
		for _, address := range addresses {
			peer, err := parseAddress(address, caller.scheme)
			if err != nil {
				mistakes = append(mistakes, err)
			} else if !slices.Contains(peers, peer) {
				peers = append(peers, peer)
			}
		}
		return peers
	}
	c := &Client{admin: parse(o.Admin), send: caller.Send, close: caller.Close, limits: limits{atOnce: atOnce, each: maxBytes}}
	for _, address := range parse(o.Peers) {
		c.peers = append(c.peers, Member{Address: address})
	}
	c.peers = append(c.peers, o.Members...)
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return c, nil
}

// The limits of a client within a proxy, which has requests to pass on beside.
const (
	atOnceWithin = 16
	eachWithin   = 8 << 20
	allWithin    = 32 << 20
)

// Within returns a client for use within a proxy: it asks the members that a function
// lists, each itself, by send. Their answers to one question have at most 32 MiB together.
// Whatever they answer must not end the proxy: should that make the client panic, caught is
// called within the deferred function that recovered.
func Within(members func(context.Context) []Member, send Sender, caught func(p any)) *Client {
	return &Client{members: members, send: send, close: func() {}, limits: limits{atOnceWithin, eachWithin, allWithin}, caught: caught}
}

// catch is deferred by each goroutine of a client. It makes a panic an error within a proxy.
func (c *Client) catch(err *error) {
	if c.caught == nil {
		return
	}
	if p := recover(); p != nil {
		c.caught(p)
		*err = errors.New("its answer could not be read: this is a bug in hopscope; please report it")
	}
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.close() }

// Proxy is a proxy that a question is put to.
type Proxy struct {
	Member
	send   Sender // nil if it can't be asked
	via    string // the address of the member that relays to it; empty if it is asked itself
	places chan struct{}
	err    error // why it can't be asked, or not for all that it should answer
	left   int64 // bytes that it may still answer, most at first
	most   int64
	all    *atomic.Int64 // bytes that all proxies together may still answer; nil is no limit
	id     string        // of its process
}

// Get asks the proxy for a path below /v1, such as "/hops?trace=ID", and returns its answer
// if that has status 200. Close the answer. The error is one to show: it says in plain
// words, without the address, what happened.
//
// All answers of a proxy to one question together have at most 16 MiB: reading beyond that
// fails. Nothing in an answer can be trusted, so check what is decoded of it. Get is not
// safe for concurrent use.
func (p *Proxy) Get(ctx context.Context, path string) (*Answer, error) {
	if p.via == "" {
		resp, err := p.ask(ctx, Call{Method: http.MethodGet, Address: p.Address, Path: path})
		if err != nil {
			return nil, err
		}
		return &Answer{resp.Header, resp.Body, &p.left, p.most, p.all, func() {}}, nil
	}
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-p.places })
	resp, err := p.ask(ctx, Call{Method: http.MethodGet, Address: p.via, Path: "/peers/" + p.Address + "/v1" + path})
	if err != nil {
		leave()
		return nil, err
	}
	return &Answer{resp.Header, resp.Body, &p.left, p.most, p.all, leave}, nil
}

func (p *Proxy) ask(ctx context.Context, call Call) (*http.Response, error) {
	resp, err := p.send(ctx, call)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, Plainly(err)
	}
	relayed := resp.Header.Get(HeaderRelay) == ""
	if relayed {
		p.id = resp.Header.Get(HeaderProcess)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	if err = refusal(resp, p.Version); p.via != "" && !relayed {
		err = fmt.Errorf("by way of %s: %w", p.via, err)
	}
	return nil, err
}

// Ask puts a question to every proxy of the mesh, all at once, and returns when all have
// answered or ctx is over. question asks one of them, with [Proxy.Get], as often as it
// needs, and decodes and checks what it answers; what it returns beside an error counts.
//
// It returns the answers, and beside each the Peer that gave it, in the same order. A proxy
// that is reached at two addresses is asked at both, but only its first answer counts.
func Ask[T any](ctx context.Context, c *Client, question func(ctx context.Context, p *Proxy) ([]T, error)) ([][]T, []Peer) {
	began := time.Now()
	inTime := func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return fmt.Errorf("no whole answer within %v", time.Since(began).Round(10*time.Millisecond))
		}
		return err
	}
	proxies := c.proxies(ctx)
	answers, peers := make([][]T, len(proxies)), make([]Peer, len(proxies))
	each(proxies, c.limits.atOnce, func(i int, p *Proxy) {
		err := p.err
		if p.send != nil {
			var failed error
			func() {
				defer c.catch(&failed)
				answers[i], failed = question(ctx, p)
			}()
			err = cmp.Or(inTime(failed), err)
		}
		peers[i] = Peer{p.Address, p.Service, p.Instance, len(answers[i]), err}
	})
	return withoutTwins(proxies, answers, peers)
}

// withoutTwins leaves out what a process answered twice. The answer to a proxy that was
// asked itself counts, else the first. If both came by way of a member, that is said: one of
// them may only claim to be the other.
func withoutTwins[T any](proxies []*Proxy, answers [][]T, peers []Peer) ([][]T, []Peer) {
	counts := map[string]*Proxy{} // by process
	for _, p := range proxies {
		if one := counts[p.id]; one == nil || one.via != "" && p.via == "" {
			counts[p.id] = p
		}
	}
	n := 0
	for i, p := range proxies {
		if one := counts[p.id]; p.id != "" && one != p {
			if one.via == "" {
				continue
			}
			answers[i], peers[i].Hops = nil, 0
			peers[i].Err = fmt.Errorf("it says that it is the same process as %s, so its answer was left out", one.Address)
		}
		answers[n], peers[n] = answers[i], peers[i]
		n++
	}
	return answers[:n], peers[:n]
}

// proxies returns whom to ask: each proxy of Options.Admin with the members of its mesh,
// and those of Options.Peers. Each address is there once. A proxy that did not list its
// members, or not well, has an err.
func (c *Client) proxies(ctx context.Context) []*Proxy {
	lists := make([][]*Proxy, len(c.admin))
	var all sync.WaitGroup
	for i, address := range c.admin {
		all.Go(func() { lists[i] = c.mesh(ctx, address) })
	}
	all.Wait()
	place := map[string]int{}
	var proxies []*Proxy
	add := func(p *Proxy) {
		at, known := place[p.Address]
		switch {
		case !known:
			place[p.Address] = len(proxies)
			proxies = append(proxies, p)
		case p.via == "" && p.send != nil: // the shorter way
			proxies[at] = p
		}
	}
	for _, p := range slices.Concat(lists...) {
		add(p)
	}
	for _, m := range c.peers {
		add(c.proxy(m, "", nil))
	}
	if c.members != nil {
		for _, m := range c.members(ctx) {
			add(c.proxy(m, "", nil))
		}
	}
	if c.limits.all > 0 {
		all := new(atomic.Int64)
		all.Store(c.limits.all)
		for _, p := range proxies {
			p.all = all
		}
	}
	return proxies
}

func (c *Client) proxy(m Member, via string, places chan struct{}) *Proxy {
	return &Proxy{Member: m, send: c.send, via: via, places: places, left: c.limits.each, most: c.limits.each}
}

// mesh asks a proxy for the members of its mesh. The proxy itself is the first of them,
// unless it lists others and not itself: then it only leads to them.
func (c *Client) mesh(ctx context.Context, address string) []*Proxy {
	self := c.proxy(Member{Address: address}, "", nil)
	answer, err := self.Get(ctx, "/peers")
	if status, ok := errors.AsType[*statusError](err); ok && status.code == http.StatusNotFound {
		return []*Proxy{self} // of a version that knows no mesh
	}
	if err != nil {
		if errors.Is(err, ctx.Err()) {
			err = errors.New("it did not say in time who else is in its mesh")
		}
		self.err, self.send = err, nil
		return []*Proxy{self}
	}
	defer answer.Close()
	members, err := decodeMembers(answer)
	self.left, self.err = c.limits.each, err
	proxies, places, member := []*Proxy{self}, make(chan struct{}, relaysAtOnce), len(members.Peers) == 0
	for _, m := range members.Peers {
		if m.Self {
			member = true
			self.Member = m
			self.Address = address // which leads there from here
			continue
		}
		proxies = append(proxies, c.proxy(m, address, places))
	}
	if !member && self.err == nil {
		return proxies[1:]
	}
	return proxies
}

// each calls do for every proxy, most at a time, and returns when all calls have.
func each(proxies []*Proxy, most int, do func(i int, p *Proxy)) {
	places := make(chan struct{}, most)
	var all sync.WaitGroup
	for i, p := range proxies {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			do(i, p)
		})
	}
	all.Wait()
}

// Trace asks every proxy for the hops of a trace. Hops may repeat.
func (c *Client) Trace(ctx context.Context, id hop.TraceID) ([]*hop.Hop, []Peer) {
	answers, peers := Ask(ctx, c, func(ctx context.Context, p *Proxy) ([]*hop.Hop, error) {
		return p.hops(ctx, id)
	})
	return slices.Concat(answers...), peers
}

// hops asks one proxy for all its hops of a trace, page by page. With an error it returns
// those that came before it.
func (p *Proxy) hops(ctx context.Context, id hop.TraceID) (hops []*hop.Hop, err error) {
	for from := 0; ; {
		answer, err := p.Get(ctx, "/hops?trace="+id.String()+"&from="+strconv.Itoa(from))
		if err != nil {
			return hops, err
		}
		part, n, err := decodeHops(answer, id, maxHops-from)
		answer.Close()
		hops = append(hops, part...)
		from += n
		if err != nil || n == 0 || !strings.Contains(answer.Header.Get("Link"), `rel="next"`) { // RFC 8288
			return hops, err
		}
	}
}

// statusError is what a proxy says that does not answer the question.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// refusal is the error of a response that is not 200. The admin API explains itself in
// JSON; of others the status is all that is said.
func refusal(resp *http.Response, version string) error {
	var problem struct {
		Error, Hint string
		Endpoints   []string // it has no such path, but these
	}
	text := fmt.Sprintf("it answered %d", resp.StatusCode)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxHeader))
	if resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("HTTP request to an HTTPS server")) { // as net/http says it
		text += ": it speaks TLS (--tls-ca)"
	}
	if json.Unmarshal(body, &problem) == nil && problem.Error != "" {
		if resp.StatusCode == http.StatusNotFound && len(problem.Endpoints) > 0 {
			return &statusError{resp.StatusCode, clean("its version does not know this question: " + cmp.Or(version, problem.Error))}
		}
		text += ": " + problem.Error
		if problem.Hint != "" {
			text += " (" + problem.Hint + ")"
		}
	}
	return &statusError{resp.StatusCode, clean(text)}
}

// Plainly says why a proxy could not be asked in a few words, without its address.
func Plainly(err error) error {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err
	}
	var number syscall.Errno
	var call *os.SyscallError
	var lookup *net.DNSError
	switch {
	case errors.As(err, &number):
		err = number
	case errors.As(err, &call):
		err = call.Err
	case errors.As(err, &lookup):
		err = lookup
	default:
		err = failed.Err
	}
	return errors.New(clean(cmp.Or(err.Error(), "no answer")))
}
