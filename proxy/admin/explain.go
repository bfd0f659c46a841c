package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/hopscope/hopscope/proxy/explain"
)

// maxExplain is how many bytes a request to be explained has at most.
const maxExplain = 64 << 10

// explain answers what becomes of a request: POST has it as JSON, GET in the query. With
// hop, a trace id, it lists an explanation of each hop of the trace that is known here.
func (a *api) explain(w http.ResponseWriter, r *http.Request) {
	const hint = `{"method": "GET", "url": "https://shop/cart/7", "headers": ["x-user-group: beta"]}`
	asked, err := explained(w, r)
	if err != nil {
		writeError(w, http.StatusBadRequest, "this is no request to be explained, or is too long: "+err.Error(), hint)
		return
	}
	if id := r.URL.Query().Get("hop"); id != "" {
		a.explainHops(w, id, asked.Headers)
		return
	}
	e, err := a.Explain(asked)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), hint)
		return
	}
	if r.URL.Query().Get("format") == "text" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, e.Text(false))
		return
	}
	writeJSON(w, http.StatusOK, e)
}

// explained reads the request to be explained.
func explained(w http.ResponseWriter, r *http.Request) (asked explain.Request, err error) {
	if r.Method == http.MethodPost {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxExplain))
		d.DisallowUnknownFields()
		return asked, d.Decode(&asked)
	}
	q := r.URL.Query()
	asked = explain.Request{
		Listener: q.Get("listener"), Method: q.Get("method"), URL: q.Get("url"), Headers: q["header"],
		Client: q.Get("client"), Identity: q.Get("identity"), HTTP2: q.Get("http2") == "1",
	}
	if text := q.Get("chance"); text != "" {
		chance, err := strconv.ParseFloat(text, 64)
		if err != nil || !(chance >= 0 && chance <= 100) {
			return asked, errors.New("chance is a number from 0 to 100")
		}
		asked.Chance = &chance
	}
	return asked, nil
}

func (a *api) explainHops(w http.ResponseWriter, id string, headers []string) {
	trace, ok := parseTrace(id)
	if !ok {
		writeError(w, http.StatusBadRequest, quote(id)+" is no trace id", "a trace id has 32 hex digits, or 16")
		return
	}
	if a.ExplainHops == nil {
		writeError(w, http.StatusNotFound, "this proxy keeps no hops", "set telemetry.store.max_bytes")
		return
	}
	all := a.ExplainHops(trace, headers)
	writeJSON(w, http.StatusOK, append([]*explain.Explanation{}, all...))
}
