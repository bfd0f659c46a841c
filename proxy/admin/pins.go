package admin

import (
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/pins"
)

// maxPins is how many bytes a list of traces to pin has at most.
const maxPins = 64 << 10

// pins answers POST /v1/pins: a member of the mesh names traces whose hops are to be
// exported here, too. Of the proxy's traffic that changes nothing, so whoever may read may
// ask for it.
func (a *api) pins(w http.ResponseWriter, r *http.Request) {
	const hint = `{"traces": ["4bf92f3577b34da6a3ce929d0e0e4736"]}`
	var asked struct{ Traces []string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPins)).Decode(&asked); err != nil {
		writeError(w, http.StatusBadRequest, "this is no list of traces, or is too long", hint)
		return
	}
	traces, ok := traceIDs(asked.Traces)
	if !ok {
		writeError(w, http.StatusBadRequest, "these are no ids of traces, or too many", hint)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Taken int `json:"taken"`
	}{a.Pin(r.Context(), traces)})
}

// traceIDs reads the ids of one batch.
func traceIDs(texts []string) (traces []hop.TraceID, ok bool) {
	if len(texts) > pins.MaxBatch {
		return nil, false
	}
	for _, text := range texts {
		var id hop.TraceID
		if len(text) != 2*len(id) {
			return nil, false
		}
		if _, err := hex.Decode(id[:], []byte(text)); err != nil || id.IsZero() {
			return nil, false
		}
		traces = append(traces, id)
	}
	return traces, true
}
