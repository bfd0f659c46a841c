package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/active"
)

// maxActive is how many hops under way one answer has: those that have taken longest.
const maxActive = 1000

// activeHops answers /hops?active=1: the hops under way, the longest first. slow=1 leaves
// out those within their route's slow threshold.
func (a *api) activeHops(w http.ResponseWriter, r *http.Request) {
	slow, limit, err := parseActive(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /hops?active=1&slow=1&limit=20")
		return
	}
	now := time.Now()
	views := []active.View{}
	for _, h := range a.Active.Longest(maxActive) {
		if len(views) < limit && (!slow || h.Slow(now)) {
			views = append(views, active.View{Hop: h, Now: now})
		}
	}
	writeJSON(w, http.StatusOK, views)
}

// parseActive reads the parameters of /hops?active=1.
func parseActive(form url.Values) (slow bool, limit int, err error) {
	limit = maxActive
	for _, name := range slices.Sorted(maps.Keys(form)) {
		switch name {
		case "active":
		case "slow":
			slow, err = parseBool(form.Get(name))
		case "limit":
			limit, err = parseLimit(form.Get(name))
		default:
			return false, 0, fmt.Errorf("there is no parameter %s beside active, only limit, slow", quote(name))
		}
		if err != nil {
			return false, 0, fmt.Errorf("%s=%s: %w", name, quote(form.Get(name)), err)
		}
	}
	return slow, limit, nil
}

// activeRow is one hop under way on the index page.
type activeRow struct {
	ID, Short, At, For, Class, Request, Waits, Endpoint string
}

// activeRows are the hops that have been under way for longest.
func (a *api) activeRows(now time.Time) (rows []activeRow) {
	if a.Active == nil {
		return nil
	}
	for _, h := range a.Active.Longest(latest) {
		id := h.Trace.String()
		row := activeRow{
			ID: id, Short: id[:12] + "…", At: h.Start.UTC().Format(time.RFC3339Nano), For: short(now.Sub(h.Start)), Class: "good",
			Request: shown(strings.Join(strings.Fields(h.Labels.Service+" "+h.Labels.Direction.String()+" "+h.Method+" "+h.Path), " ")),
			Waits:   h.Waits.Words(), Endpoint: h.Endpoint,
		}
		if !h.Since.IsZero() {
			row.Waits += ", for " + short(max(now.Sub(h.Since), 0))
		}
		if h.Slow(now) {
			row.Class = "bad"
		}
		rows = append(rows, row)
	}
	return rows
}
