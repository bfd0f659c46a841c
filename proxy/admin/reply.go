package admin

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// problem is the body of every error.
type problem struct {
	Error     string   `json:"error"`
	Hint      string   `json:"hint,omitempty"`
	Mistakes  []string `json:"mistakes,omitempty"`
	Endpoints []string `json:"endpoints,omitempty"`
}

// writeJSON answers with v, indented for people who use curl. A value that can't be
// marshalled is a bug, and becomes a 500.
func writeJSON(w http.ResponseWriter, status int, v any) {
	if writeList(w, status, v) {
		return
	}
	var body bytes.Buffer
	enc := encoder(&body, "")
	if err := enc.Encode(v); err != nil {
		body.Reset()
		status = http.StatusInternalServerError
		// The strings of a problem always encode.
		_ = enc.Encode(problem{Error: "the answer could not be written as JSON: " + err.Error(),
			Hint: "this is a bug in hopscope; please report it"})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the client went away.
	_, _ = w.Write(body.Bytes())
}

// writeError answers with a problem.
func writeError(w http.ResponseWriter, status int, err, hint string) {
	writeJSON(w, status, problem{Error: redact.Text(err), Hint: hint})
}

// wantsJSON tells programs from people: it returns true if the client accepts JSON and
// not HTML. ?format= overrides that.
func wantsJSON(r *http.Request) bool {
	switch r.URL.Query().Get("format") {
	case "json":
		return true
	case "html":
		return false
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}
