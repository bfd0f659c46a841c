package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/mesh"
)

// meshQuestion is a question to the whole mesh. ask puts it; the error is about the
// parameters.
type meshQuestion func(form url.Values) (ask func(ctx context.Context) prepared, example string, err error)

// ofMesh answers what the whole mesh is asked: this proxy asks all members, itself among
// them, and puts together what they know.
func (a *api) ofMesh(question meshQuestion, fresh time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		form := r.URL.Query()
		if id := r.PathValue("id"); id != "" {
			form.Set("id", id)
		}
		ask, example, err := question(form)
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error(), "for example "+example)
			return
		}
		path, _, _ := strings.Cut(r.Pattern, "{")
		got, err := a.shared.get(r.Context(), path+"?"+form.Encode(), fresh, ask)
		if err != nil {
			w.Header().Set("Retry-After", "2")
			writeError(w, http.StatusServiceUnavailable, errBusy.Error(), "try again in a moment")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if got.status != http.StatusOK {
			w.Header().Set("Content-Type", "application/problem+json") // RFC 9457
		}
		w.WriteHeader(got.status)
		// An error here means that the client went away.
		_, _ = w.Write(got.body)
	}
}

// found is the answer that v is.
func (a *api) found(v any) prepared {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)              // an edge is "web -> bank"
	if err := e.Encode(v); err != nil { // not reached: there is nothing in it that can't be marshalled
		a.Log.Error("admin: an answer can't be written", "error", err)
		return failedAnswer(http.StatusInternalServerError, "the answer could not be written as JSON", "this is a bug in hopscope; please report it", nil)
	}
	return prepared{http.StatusOK, text.Bytes()}
}

// failedAnswer is an answer that says why there is no other: in the terms of RFC 9457, and
// in those of the other errors here.
func failedAnswer(status int, what, hint string, peers json.RawMessage) prepared {
	text, _ := json.Marshal(struct { // strings always encode
		Title  string          `json:"title"`
		Status int             `json:"status"`
		Detail string          `json:"detail"`
		Error  string          `json:"error"`
		Hint   string          `json:"hint"`
		Peers  json.RawMessage `json:"peers,omitempty"`
	}{what, status, hint, what, hint, peers})
	return prepared{status, append(text, '\n')}
}

// meshWhy answers /v1/mesh/why: why requests fail, as hopscope why --json says it.
func (a *api) meshWhy(form url.Values) (func(context.Context) prepared, string, error) {
	since, err := meshSince(form, whySince)
	return func(ctx context.Context) prepared {
		found := a.client.Why(ctx, since)
		for i := range found.Causes {
			found.Causes[i].Next = "hopscope trace " + found.Causes[i].TraceID
		}
		for i := range found.Mended {
			found.Mended[i].Next = "hopscope trace " + found.Mended[i].TraceID
		}
		return a.found(found)
	}, "/v1/mesh/why?since=10m", err
}

// meshEvents answers /v1/mesh/events: what happened in the mesh.
func (a *api) meshEvents(form url.Values) (func(context.Context) prepared, string, error) {
	since, err := meshSince(form, time.Hour)
	return func(ctx context.Context) prepared { return a.found(a.client.Events(ctx, since)) }, "/v1/mesh/events?since=1h", err
}

// meshPeers answers /v1/mesh/peers: the members, and whether they answer now.
func (a *api) meshPeers(form url.Values) (func(context.Context) prepared, string, error) {
	return func(ctx context.Context) prepared { return a.found(a.client.Present(ctx, a.meshName())) }, "/v1/mesh/peers", only(form)
}

// meshActive answers /v1/mesh/active: the requests that are under way for longest.
func (a *api) meshActive(form url.Values) (func(context.Context) prepared, string, error) {
	const example, most = "/v1/mesh/active?limit=20", 100
	limit, err := most, only(form, "limit")
	if text := form.Get("limit"); err == nil && text != "" {
		if limit, err = parseLimit(text); err != nil {
			err = fmt.Errorf("limit=%s: %w", quote(text), err)
		}
	}
	return func(ctx context.Context) prepared { return a.found(a.client.Active(ctx, limit)) }, example, err
}

// meshTraces answers /v1/mesh/traces: recent traces, as hopscope traces --json prints them.
func (a *api) meshTraces(form url.Values) (func(context.Context) prepared, string, error) {
	const example = "/v1/mesh/traces?failed=1&service=web&since=10m&limit=20"
	now := time.Now()
	parsed, err := parseQuery(form, now)
	if err != nil {
		return nil, example, err
	}
	q := mesh.Query{
		Failed: parsed.Failed, Slow: parsed.Slow, Service: parsed.Service, Route: parsed.Route, Culprit: parsed.Culprit, Flag: form.Get("flag"),
		Status: form.Get("status"), Min: parsed.Min, Max: parsed.Max, Text: parsed.Text, Limit: parsed.Limit,
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	if !parsed.Since.IsZero() {
		q.Since = max(now.Sub(parsed.Since), time.Nanosecond)
	}
	return func(ctx context.Context) prepared {
		found := a.client.Traces(ctx, q)
		for i := range found.Traces {
			found.Traces[i].Next = "hopscope trace " + found.Traces[i].TraceID
		}
		return a.found(found)
	}, example, nil
}

// meshTrace answers /v1/mesh/trace/ID: one trace, as hopscope trace ID --json prints it.
func (a *api) meshTrace(form url.Values) (func(context.Context) prepared, string, error) {
	const example = "/v1/mesh/trace/4bf92f3577b34da6a3ce929d0e0e4736"
	if err := only(form, "id"); err != nil {
		return nil, example, err
	}
	id, err := mesh.ParseID(form.Get("id"))
	if err != nil {
		return nil, example, errors.New(quote(form.Get("id")) + " is not a trace id: it has 32 hex digits, or 16")
	}
	return func(ctx context.Context) prepared {
		found := a.client.Find(ctx, id)
		switch {
		case len(found.Known) > 0:
			return a.found(found)
		case found.Answered() == 0:
			return failedAnswer(http.StatusBadGateway, "no proxy answered", "see the peers for why", mesh.PeersJSON(found.Peers))
		}
		return failedAnswer(http.StatusNotFound, "no hop of trace "+id.String()+" is known",
			"its hops were neither failed nor slow and had to make room, or it passed other proxies", mesh.PeersJSON(found.Peers))
	}, example, nil
}

// mostSince is how far back the mesh can be asked.
const mostSince = 7 * 24 * time.Hour

// meshSince reads the parameters of a question that takes since= alone, how long ago.
func meshSince(form url.Values, usual time.Duration) (time.Duration, error) {
	if err := only(form, "since"); err != nil {
		return 0, err
	}
	text := form.Get("since")
	if text == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > mostSince {
		return 0, fmt.Errorf("since=%s: it is a duration such as 10m, at most %v", quote(text), mostSince)
	}
	return d, nil
}

// only refuses parameters but these.
func only(form url.Values, names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if !slices.Contains(names, name) {
			hint := "none"
			if len(names) > 0 {
				hint = "only " + strings.Join(names, ", ")
			}
			return fmt.Errorf("there is no parameter %s, %s", quote(name), hint)
		}
	}
	return nil
}
