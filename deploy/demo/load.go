package demo

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxInFlight bounds the requests that the load keeps open: on a machine that
// is too slow for the rate, requests are left out rather than piled up.
const maxInFlight = 16

// load sends steady traffic to one URL.
type load struct {
	url  string
	rate float64 // requests a second
	max  int     // requests in all, 0 for no end

	sent   atomic.Int64 // requests that were answered, or failed to be
	failed atomic.Int64 // of these, with a status of 500 and above or none
}

// run sends until ctx ends or max is reached, and returns when the last
// request is over. Requests that are in flight when ctx ends are finished.
func (l *load) run(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: maxInFlight}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	slots := make(chan struct{}, maxInFlight)
	tick := time.NewTicker(time.Duration(float64(time.Second) / l.rate))
	defer tick.Stop()
	for n := 0; l.max == 0 || n < l.max; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		inFlight.Go(func() {
			defer func() { <-slots }()
			l.send(context.WithoutCancel(ctx), client)
		})
	}
}

func (l *load) send(ctx context.Context, client *http.Client) {
	defer l.sent.Add(1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		l.failed.Add(1)
		return
	}
	req.Header.Set("User-Agent", "hopscope-demo")
	resp, err := client.Do(req)
	if err != nil {
		l.failed.Add(1)
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode >= 500 {
		l.failed.Add(1)
	}
}
