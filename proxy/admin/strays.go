package admin

import (
	"net/http"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxStrays is how many calls one answer has.
const maxStrays = 50

// stray is a call that began a trace of its own while the service answered a request.
type stray struct {
	// For is the span of that request's hop, if it was the only one; else it is empty.
	For string   `json:"for"`
	Hop *hop.Hop `json:"hop"`
}

// strays answers /v1/strays?trace=ID: the calls that began a trace of their own while a
// service here answered a request of the trace.
func (a *api) strays(w http.ResponseWriter, r *http.Request) {
	if !a.kept(w) {
		return
	}
	id, ok := parseTrace(r.URL.Query().Get("trace"))
	if !ok {
		badTrace(w, r.URL.Query().Get("trace"), "/v1/strays?trace=ID")
		return
	}
	all := []stray{}
	if a.Strays != nil {
		calls, joins := a.Strays(a.Trace(id))
		owners := map[*hop.Hop]string{}
		for _, j := range joins {
			owners[j.Call] = j.For.Span.String()
		}
		for _, h := range calls[:min(len(calls), maxStrays)] {
			all = append(all, stray{owners[h], h})
		}
	}
	writeJSON(w, http.StatusOK, all)
}
