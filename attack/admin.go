package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// OneTrace is the trace of [ManyHops].
const OneTrace = "a77ac4a77ac4a77ac4a77ac4a77ac400"

// ManyHops sends n requests of one trace to the proxy at address, each with the span
// of another caller and with a long path. It wants the requests to fail: the path
// should lead to an endpoint that refuses connections.
func ManyHops(ctx context.Context, address string, n int) error {
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	filler := strings.Repeat("x", 200)
	for i := range n {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%s?n=%d", address, filler, i), nil)
		if err != nil {
			return err
		}
		r.Header.Set("traceparent", fmt.Sprintf("00-%s-%016x-01", OneTrace, i+1))
		response, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// Viewed is what became of viewers.
type Viewed struct {
	Shown   int   // were answered with 2xx
	Refused int   // were answered with anything else
	Cut     int   // lost their connection, before or after an answer began
	Bytes   int64 // that all of them were sent
}

// SlowViewers has n clients ask the admin API at address for a path, and read what
// they are sent at about 4 KB a second each, until ctx ends. The error is that of a
// connection that could not be made.
func SlowViewers(ctx context.Context, address, path string, n int) (Viewed, error) {
	var mu sync.Mutex
	var all Viewed
	var failed error
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			status, bytes, cut, err := view(ctx, address, path)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = errors.Join(failed, err)
			case status >= 200 && status < 300:
				all.Shown++
			case status > 0:
				all.Refused++
			}
			if cut {
				all.Cut++
			}
			all.Bytes += bytes
		})
	}
	wg.Wait()
	return all, failed
}

// view is one slow viewer: the status that it was answered with, 0 for none, what it
// was sent, and whether the other side ended the connection before ctx did.
func view(ctx context.Context, address, path string) (status int, bytes int64, cut bool, err error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return 0, 0, false, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.(*net.TCPConn).SetReadBuffer(4 << 10) // or the kernel takes the page for it
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address); err != nil {
		return 0, 0, ctx.Err() == nil, nil
	}
	r := bufio.NewReaderSize(c, 1<<10)
	line, err := r.ReadString('\n')
	bytes = int64(len(line))
	if _, scanErr := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil || scanErr != nil {
		return 0, bytes, ctx.Err() == nil, nil
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := io.CopyN(io.Discard, r, 1<<10)
		bytes += n
		if err != nil {
			return status, bytes, ctx.Err() == nil, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return status, bytes, false, nil
		}
	}
}

// costly are the paths of the admin API that take time or memory.
var costly = []string{"/", "/metrics", "/traces", "/traces/" + OneTrace, "/hops?trace=" + OneTrace, "/clusters", "/listeners", "/config_dump",
	"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1"}

// CrossSite asks the admin API at address for what is costly, as a browser does for a
// page of another site. It returns the paths that were served.
func CrossSite(ctx context.Context, address string) (served []string, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for _, path := range costly {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return served, err
		}
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		r.Header.Set("Sec-Fetch-Dest", "image")
		response, err := client.Do(r)
		if err != nil {
			return served, err
		}
		response.Body.Close()
		if response.StatusCode < 300 {
			served = append(served, path)
		}
	}
	return served, nil
}
