package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/hopscope/hopscope/mesh/series"
)

// hour is how far back the history goes.
const hour = series.Windows * series.Window

// history answers /v1/series: what this proxy counted in each window. It is not indented,
// since it is long and for programs.
func (a *api) history(w http.ResponseWriter, r *http.Request) {
	since, err := meshSince(r.URL.Query(), hour)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /v1/series?since=1h")
		return
	}
	text, err := json.Marshal(a.Series(time.Now(), windowsOf(since)))
	if err != nil { // not reached: there is nothing in it that can't be marshalled
		writeError(w, http.StatusInternalServerError, err.Error(), "this is a bug in hopscope; please report it")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the client went away.
	_, _ = w.Write(append(text, '\n'))
}

// windowsOf is how many windows reach that far back.
func windowsOf(since time.Duration) int {
	return int(min((since+series.Window-1)/series.Window, series.Windows))
}

// meshSeries answers /v1/mesh/series: the history of the whole mesh.
func (a *api) meshSeries(form url.Values) (func(context.Context) prepared, string, error) {
	since, err := meshSince(form, hour)
	return func(ctx context.Context) prepared {
		return a.found(a.client.Series(ctx, time.Now(), min(since, hour)))
	}, "/v1/mesh/series?since=1h", err
}
