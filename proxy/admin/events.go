package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

// events answers /v1/events: what happened to the proxy, the earliest first.
func (a *api) events(w http.ResponseWriter, r *http.Request) {
	since, err := onlySince(r.URL.Query(), time.Now())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /v1/events?since=10m")
		return
	}
	all := a.Events(since)
	if all == nil {
		all = []events.Event{}
	}
	writeJSON(w, http.StatusOK, all)
}

// onlySince reads the parameters of an endpoint that takes since= alone. Without it the
// instant is zero.
func onlySince(form url.Values, now time.Time) (since time.Time, err error) {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "since" {
			return since, fmt.Errorf("there is no parameter %s, only since", quote(name))
		}
		if since, err = parseSince(form.Get(name), now); err != nil {
			return since, fmt.Errorf("since=%s: %w", quote(form.Get(name)), err)
		}
	}
	return since, nil
}
