package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Resident memory has settled when it kept within settleSpread of its highest
// value for settleWindow; after settleLimit it is read as it is.
const (
	settleSpread = 0.005
	settleWindow = 5 * time.Second
	settleLimit  = 60 * time.Second
	settlePoll   = 250 * time.Millisecond
)

// portsAnAddress is how many connections one loopback source address is used
// for: fewer than the ephemeral ports that Linux has by default.
const portsAnAddress = 20000

// idle is the resident memory of idle keep-alive connections.
type idle struct {
	Variant       string  `json:"variant"`
	Connections   int     `json:"connections"`
	BeforeBytes   int64   `json:"rss_before_bytes"`
	AfterBytes    int64   `json:"rss_after_bytes"`
	PerConnection float64 `json:"bytes_per_connection"`
	Settled       bool    `json:"settled"`
}

// measureIdle makes n requests on one connection to a freshly started variant,
// then one on each of n keep-alive connections, and reads how its resident
// memory has grown meanwhile, settled both times. Then every connection must answer again: one that the proxy
// had closed would have made the figure too small.
func (r *rig) measureIdle(ctx context.Context, v variant, n int) (*idle, error) {
	if err := checkOpenFiles(n); err != nil {
		return nil, err
	}
	p, err := r.startProxy(ctx, v)
	if err != nil {
		return nil, err
	}
	defer p.stop()

	// As many requests on one connection first: what a proxy keeps of requests,
	// its program paged in among it, is no cost of a connection.
	clients := &idleClients{address: p.listen, path: "/" + strconv.Itoa(r.opts.bodies[0])}
	defer clients.close()
	if err := clients.open(ctx, 1, n); err != nil {
		return nil, p.failure(err)
	}
	clients.close()
	before, settledBefore, err := settledRSS(ctx, p.pid())
	if err != nil {
		return nil, p.failure(err)
	}
	if err := clients.open(ctx, n, 1); err != nil {
		return nil, p.failure(err)
	}
	after, settledAfter, err := settledRSS(ctx, p.pid())
	if err != nil {
		return nil, p.failure(err)
	}
	for i := range clients.conns {
		if err := clients.exchange(i); err != nil {
			return nil, p.failure(fmt.Errorf("idle connection %d of %d did not stay open: %w", i, n, err))
		}
	}
	return &idle{
		Variant: v.name, Connections: n, BeforeBytes: before, AfterBytes: after,
		PerConnection: float64(after-before) / float64(n),
		Settled:       settledBefore && settledAfter,
	}, nil
}

// checkOpenFiles reports whether this process, and so its children, may hold n
// connections. The Go runtime has already raised the soft limit.
func checkOpenFiles(n int) error {
	const others = 200 // what a proxy opens besides
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if uint64(n)+others > uint64(limit.Cur) {
		return fmt.Errorf("-idle %d: the limit on open files is %d: raise it (ulimit -Hn) or ask for fewer", n, limit.Cur)
	}
	return nil
}

// idleClients are connections of which at most one is busy at any time.
type idleClients struct {
	address string
	path    string
	conns   []net.Conn
	reader  *bufio.Reader // lent to the busy one
}

// open adds n connections and makes requests on each.
func (c *idleClients) open(ctx context.Context, n, requests int) error {
	for range n {
		i := len(c.conns)
		dialer := net.Dialer{
			Timeout:   10 * time.Second,
			LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i/portsAnAddress))},
		}
		conn, err := dialer.DialContext(ctx, "tcp", c.address)
		if err != nil {
			return fmt.Errorf("idle connection %d: %w", i, err)
		}
		c.conns = append(c.conns, conn)
		for range requests {
			if err := c.exchange(i); err != nil {
				return fmt.Errorf("idle connection %d: %w", i, err)
			}
		}
	}
	return ctx.Err()
}

// exchange makes one request on connection i and reads the whole answer.
func (c *idleClients) exchange(i int) error {
	conn := c.conns[i]
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET "+c.path+" HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	if c.reader == nil {
		c.reader = bufio.NewReader(conn)
	}
	c.reader.Reset(conn)
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || response.Close {
		return fmt.Errorf("answer %s, connection to be closed: %t", response.Status, response.Close)
	}
	return nil
}

// close closes all connections and forgets them.
func (c *idleClients) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// settledRSS waits until a process group's resident memory stands still, and
// returns it in bytes. It is false when that did not happen in time.
func settledRSS(ctx context.Context, group int) (int64, bool, error) {
	var history []int64
	for range int(settleLimit / settlePoll) {
		rss, err := groupRSS(group)
		if err != nil {
			return 0, false, err
		}
		history = append(history, rss)
		if hasSettled(history, int(settleWindow/settlePoll)) {
			return rss, true, nil
		}
		select {
		case <-ctx.Done():
			return 0, false, ctx.Err()
		case <-time.After(settlePoll):
		}
	}
	return history[len(history)-1], false, nil
}

// hasSettled reports whether the last window values keep within settleSpread of
// the highest of them.
func hasSettled(history []int64, window int) bool {
	if len(history) < window {
		return false
	}
	last := history[len(history)-window:]
	highest := slices.Max(last)
	return float64(highest-slices.Min(last)) <= settleSpread*float64(highest)
}
