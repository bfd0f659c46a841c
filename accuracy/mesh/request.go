package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Result is what a client of the root has of one request.
type Result struct {
	Trace       hop.TraceID
	Status      int // 0 if there was no response
	Cut         bool
	ProxyStatus [][]byte
	Hops        []*hop.Hop // of all sidecars that could be asked
	Log         []byte     // the access logs of all sidecars, one after the other; all results share it
}

// Failed reports whether the client saw a failure.
func (r *Result) Failed() bool { return r.Status == 0 || r.Status >= 500 || r.Cut }

// Request sends one request to the root, with a trace of its own.
func (m *Mesh) Request(ctx context.Context, method string) *Result {
	r := &Result{}
	for i := range r.Trace {
		r.Trace[i] = byte(rand.IntN(256))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+m.Address(m.Root())+"/"+m.Root()+"/42", nil)
	if err != nil {
		return r
	}
	req.Header.Set("Traceparent", fmt.Sprintf("00-%s-%016x-01", r.Trace, 1+rand.Uint64N(1<<62)))
	resp, err := m.client.Do(req)
	if err != nil {
		return r
	}
	defer resp.Body.Close()
	r.Status, r.Cut = resp.StatusCode, drain(resp.Body) != nil
	for _, line := range resp.Header.Values("Proxy-Status") {
		r.ProxyStatus = append(r.ProxyStatus, []byte(line))
	}
	return r
}

// Requests sends n requests, some at once.
func (m *Mesh) Requests(ctx context.Context, method string, n, atOnce int) []*Result {
	results := make([]*Result, n)
	var clients sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		clients.Go(func() {
			for i := range next {
				results[i] = m.Request(ctx, method)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	clients.Wait()
	return results
}

// hopsLimit is how long sidecars may take to have all hops.
const hopsLimit = time.Minute

// A sidecar may take 100 ms to show a hop. Three answers that are the same, with that time
// between, are all that there will be.
const (
	askEvery   = 100 * time.Millisecond
	sameBefore = 2
)

// Collect asks all sidecars for the hops of the results, until they have the root's and
// no more come. Then it reads their access logs, until they have as many.
func (m *Mesh) Collect(ctx context.Context, results []*Result) {
	m.collectHops(ctx, results)
	ctx, cancel := context.WithTimeout(ctx, hopsLimit)
	defer cancel()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		log := m.readLogs()
		complete := true
		for _, r := range results {
			r.Log = log
			complete = complete && bytes.Count(log, fmt.Appendf(nil, `"trace_id":"%s"`, r.Trace)) >= len(r.Hops)
		}
		if complete {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// readLogs returns all access logs, also those of sidecars that were killed.
func (m *Mesh) readLogs() (all []byte) {
	for name := range m.sidecars {
		text, err := os.ReadFile(m.log(name))
		if err != nil {
			continue // its hops are missing then
		}
		all = append(append(all, text...), '\n') // one that was killed may leave half a line
	}
	return all
}

func (m *Mesh) collectHops(ctx context.Context, results []*Result) {
	ctx, cancel := context.WithTimeout(ctx, hopsLimit)
	defer cancel()
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for before, same := -1, 0; ; {
		total, complete := m.collect(ctx, results)
		if total == before {
			same++
		} else {
			before, same = total, 0
		}
		if complete && same >= sameBefore {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Mesh) collect(ctx context.Context, results []*Result) (total int, complete bool) {
	complete = true
	for _, r := range results {
		var hops []*hop.Hop
		for name, p := range m.sidecars {
			select {
			case <-p.exited:
			default:
				hops = append(hops, m.hops(ctx, name, r.Trace)...)
			}
		}
		rooted := false
		for _, h := range hops {
			rooted = rooted || h.Labels.Service == m.Root() && h.Labels.Direction == hop.Inbound
		}
		complete = complete && rooted
		if len(hops) >= len(r.Hops) {
			r.Hops = hops
		}
		total += len(hops)
	}
	return total, complete
}

// hops asks one sidecar for its hops of a trace.
func (m *Mesh) hops(ctx context.Context, service string, trace hop.TraceID) (hops []*hop.Hop) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := m.get(ctx, "http://"+m.addresses[service].admin+"/hops?trace="+trace.String())
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&hops) != nil {
		return nil
	}
	return hops
}
