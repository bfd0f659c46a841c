package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// honest is what clients who mean well got: each asks again and again, half of them on
// a connection that they keep, half on a new one each time.
type honest struct {
	good, bad int
	worst     time.Duration // of the best 99 % of those that were answered
	why       string        // the last that went wrong
}

// patience is how long an honest client waits.
const patience = 5 * time.Second

// ask has honest clients ask until ctx is done.
func ask(ctx context.Context, url string) honest {
	const clients = 4
	var (
		mu    sync.Mutex
		total honest
		took  []time.Duration
		all   sync.WaitGroup
	)
	for i := range clients {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
		all.Go(func() {
			defer client.CloseIdleConnections()
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				began := time.Now()
				why := once(ctx, client, url)
				if ctx.Err() != nil {
					tick.Stop()
					return
				}
				mu.Lock()
				if why == "" {
					total.good++
					took = append(took, time.Since(began))
				} else {
					total.bad++
					total.why = why
				}
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	if n := len(took); n > 0 {
		total.worst = took[n*99/100]
	}
	return total
}

// once is one request: why it failed, or "".
func once(ctx context.Context, client *http.Client, url string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return response.Status
	}
	return ""
}
