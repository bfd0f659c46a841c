package admin

import (
	"context"
	"net/http"
	"time"
)

// How many requests of each kind are answered at once. Each takes memory and time from
// the proxy's traffic; see the limits on one answer.
const (
	maxViews    = 8
	maxScrapes  = 4
	maxProfiles = 2
)

// lanePatience is how long a request waits for its turn.
const lanePatience = time.Second

// lane limits the requests of a kind that are answered at once. Scrapes have their own
// lane, so that no viewer can keep Prometheus out.
type lane chan struct{}

// enter waits for a place, and reports whether there was one.
func (l lane) enter(ctx context.Context) bool {
	select {
	case l <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(lanePatience)
	defer timer.Stop()
	select {
	case l <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (l lane) leave() { <-l }

// serve makes a costly endpoint answer in its lane.
func (l lane) serve(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !l.enter(r.Context()) {
			w.Header().Set("Retry-After", "2")
			writeError(w, http.StatusServiceUnavailable, "too many ask for this at once", "try again in a moment")
			return
		}
		defer l.leave()
		next(w, r)
	}
}

// asksFromElsewhere reports whether a page of another site made the browser send the
// request (Fetch Metadata). Such a page can't read the answer, but could request it over
// and over. A link that a person follows to a page is allowed. Another port of this host
// counts as another site.
func asksFromElsewhere(r *http.Request, isPage bool) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
	default:
		return false
	}
	followed := r.Header.Get("Sec-Fetch-User") == "?1" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !isPage || !followed
}
