package admin

import (
	"encoding/json"
	"net/http"
	"time"
)

// whySince is how far back a digest goes if nobody says.
const whySince = 10 * time.Minute

// why answers /v1/why: the digest of one proxy, for hopscope why. It is not indented, since
// it is long and for programs.
func (a *api) why(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	since, err := onlySince(r.URL.Query(), now)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /v1/why?since=10m")
		return
	}
	if since.IsZero() {
		since = now.Add(-whySince)
	}
	text, err := json.Marshal(a.Why(since))
	if err != nil { // not reached: there is nothing in it that can't be marshalled
		writeError(w, http.StatusInternalServerError, err.Error(), "this is a bug in hopscope; please report it")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// An error here means that the client went away.
	_, _ = w.Write(append(text, '\n'))
}
