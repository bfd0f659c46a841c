package mesh

import (
	"cmp"
	"context"
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
	// atOnce is how many proxies are asked at the same time.
	atOnce = 128
)

// Client asks the admin APIs of proxies. It is safe for concurrent use.
type Client struct {
	peers []string
	http  *http.Client
}

// Peer is a proxy that was asked.
type Peer struct {
	// Address is the host and port of its admin API.
	Address string
	// Hops is how many hops, or traces, of its answer count.
	Hops int
	// Err is why its answer is not there, or not whole; nil if it is.
	Err error
}

// New returns a client for the proxies whose admin APIs are at the addresses: host:port,
// or the URL that a proxy logs. The same address counts once.
func New(addresses []string) (*Client, error) {
	var peers []string
	var mistakes []error
	for _, address := range addresses {
		peer, err := parseAddress(address)
		if err != nil {
			mistakes = append(mistakes, err)
		} else if !slices.Contains(peers, peer) {
			peers = append(peers, peer)
		}
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return &Client{peers: peers, http: &http.Client{
		Transport: &http.Transport{ // without Proxy: a sidecar's forward proxy is not the way to an admin API
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseAddress(address string) (string, error) {
	peer := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address), "http://"), "/")
	host, port, err := net.SplitHostPort(peer)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@?#% ") {
		return "", fmt.Errorf("%q is not the address of an admin API: give host:port, such as 127.0.0.1:9901", address)
	}
	return peer, nil
}

// Trace asks every proxy for the hops of a trace, and returns what has come when all have
// answered or ctx is over. Hops may repeat. There is a Peer for each address, in order.
func (c *Client) Trace(ctx context.Context, id hop.TraceID) ([]*hop.Hop, []Peer) {
	answers, peers := ask(ctx, c, func(ctx context.Context, peer string) ([]*hop.Hop, error) {
		return c.hops(ctx, peer, id)
	})
	return slices.Concat(answers...), peers
}

// ask puts a question to every proxy.
func ask[T any](ctx context.Context, c *Client, question func(ctx context.Context, peer string) ([]T, error)) ([][]T, []Peer) {
	answers, peers := make([][]T, len(c.peers)), make([]Peer, len(c.peers))
	began, places := time.Now(), make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, address := range c.peers {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			answer, err := question(ctx, address)
			if err != nil && ctx.Err() != nil {
				err = fmt.Errorf("no whole answer within %v", time.Since(began).Round(10*time.Millisecond))
			}
			answers[i], peers[i] = answer, Peer{address, len(answer), plainly(err)}
		})
	}
	all.Wait()
	return answers, peers
}

// hops asks one proxy for all its hops of a trace, page by page. With an error it returns
// those that came before it.
func (c *Client) hops(ctx context.Context, peer string, id hop.TraceID) (hops []*hop.Hop, err error) {
	left := int64(maxBytes)
	for from := 0; ; {
		resp, err := c.get(ctx, peer, "/hops?trace="+id.String()+"&from="+strconv.Itoa(from))
		if err != nil {
			return hops, err
		}
		content := &io.LimitedReader{R: resp.Body, N: left}
		part, n, err := decodeHops(content, id, maxHops-from)
		resp.Body.Close()
		hops = append(hops, part...)
		left, from = content.N, from+n
		switch {
		case left == 0:
			return hops, fmt.Errorf("its answer has more than %d MiB", maxBytes>>20)
		case err != nil:
			return hops, err
		case n == 0 || !strings.Contains(resp.Header.Get("Link"), `rel="next"`): // RFC 8288
			return hops, nil
		}
	}
}

// get sends a request, and returns a response of status 200. The caller closes its Body.
func (c *Client) get(ctx context.Context, peer, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+peer+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// plainly says why a proxy could not be asked in a few words, without its address.
func plainly(err error) error {
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
