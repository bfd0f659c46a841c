package admin

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// maxTraces is how many traces one request can ask for.
const maxTraces = 1000

// traces answers /traces: recent traces as a list. With id= it redirects to that trace,
// for the form of the index page.
func (a *api) traces(w http.ResponseWriter, r *http.Request) {
	if !a.kept(w) {
		return
	}
	if id := r.URL.Query().Get("id"); id != "" {
		http.Redirect(w, r, "/traces/"+url.PathEscape(strings.TrimSpace(id)), http.StatusSeeOther)
		return
	}
	q, err := parseQuery(r.URL.Query(), time.Now())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /traces?failed=1&service=web&since=10m&limit=20")
		return
	}
	found := a.Traces(q)
	if found == nil {
		found = []store.Summary{}
	}
	writeJSON(w, http.StatusOK, found)
}

// hops answers /hops?trace=ID: the hops of a trace that are known here. The list may be
// empty, which a peer that asks wants to know. If there are too many for one answer, the
// Link field leads to the next ones. With active=1 it is another list: see activeHops.
func (a *api) hops(w http.ResponseWriter, r *http.Request) {
	if a.Active != nil && r.URL.Query().Get("active") == "1" {
		a.activeHops(w, r)
		return
	}
	if !a.kept(w) {
		return
	}
	id, ok := parseTrace(r.URL.Query().Get("trace"))
	if !ok {
		badTrace(w, r.URL.Query().Get("trace"), "/hops?trace=ID")
		return
	}
	from, err := parseFrom(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error(), "for example /hops?trace=ID&from=1000")
		return
	}
	part, next := window(a.Trace(id), from)
	if next > 0 { // RFC 8288; relative, since the same answer is at several paths
		w.Header().Set("Link", fmt.Sprintf(`<?trace=%s&from=%d>; rel="next"`, id, next))
	}
	if len(part) == 0 {
		part = []*hop.Hop{}
	}
	writeJSON(w, http.StatusOK, part)
}

// kept reports whether hops are kept, and answers the request if not.
func (a *api) kept(w http.ResponseWriter) bool {
	if a.Trace != nil && a.Traces != nil {
		return true
	}
	writeError(w, http.StatusNotFound, "no hops are kept here", "set telemetry.store.max_bytes above 0")
	return false
}

func badTrace(w http.ResponseWriter, id, usage string) {
	writeError(w, http.StatusBadRequest, quote(id)+" is not a trace id",
		"a trace id has 32 hex digits, or 16; use "+usage)
}

// parseTrace reads a trace id: 32 hex digits, or the 16 of a short B3 one.
func parseTrace(s string) (id hop.TraceID, ok bool) {
	if len(s) == 16 {
		s = strings.Repeat("0", 16) + s
	}
	if len(s) != 2*len(id) {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return hop.TraceID{}, false
	}
	return id, !id.IsZero()
}

// parseQuery reads the parameters of /traces. An unknown parameter is an error: a
// misspelt filter must not look like a wide result.
func parseQuery(form url.Values, now time.Time) (store.Query, error) {
	var q store.Query
	parameters := map[string]func(string) error{
		"failed":  func(s string) (err error) { q.Failed, err = parseBool(s); return },
		"slow":    func(s string) (err error) { q.Slow, err = parseBool(s); return },
		"service": func(s string) error { q.Service = s; return nil },
		"culprit": func(s string) error { q.Culprit = s; return nil },
		"route":   func(s string) error { q.Route = s; return nil },
		"flag":    func(s string) (err error) { q.Flag, err = parseFlag(s); return },
		"status":  func(s string) (err error) { q.Status, err = parseStatus(s); return },
		"min":     func(s string) (err error) { q.Min, err = parseLength(s); return },
		"max":     func(s string) (err error) { q.Max, err = parseLength(s); return },
		"text":    func(s string) error { q.Text = s; return nil },
		"since":   func(s string) (err error) { q.Since, err = parseSince(s, now); return },
		"limit":   func(s string) (err error) { q.Limit, err = parseLimit(s); return },
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		parse, ok := parameters[name]
		if !ok {
			return q, fmt.Errorf("there is no parameter %s, only %s", quote(name),
				strings.Join(slices.Sorted(maps.Keys(parameters)), ", "))
		}
		if err := parse(form.Get(name)); err != nil {
			return q, fmt.Errorf("%s=%s: %w", name, quote(form.Get(name)), err)
		}
	}
	return q, nil
}

func parseBool(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("it is 1 or 0")
	}
	return b, nil
}

// parseFlag reads the code of a response flag.
func parseFlag(s string) (hop.Flags, error) {
	for _, f := range hop.All() {
		if f.Code() == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("it is a response flag, such as UF")
}

// parseStatus reads a status, or a class of them such as 5xx, which is 5.
func parseStatus(s string) (int, error) {
	if class, ok := strings.CutSuffix(s, "xx"); ok && len(class) == 1 && class >= "1" && class <= "5" {
		return int(class[0] - '0'), nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 999 {
		return 0, fmt.Errorf("it is a status such as 503, or 5xx")
	}
	return n, nil
}

// parseLength reads how long something takes.
func parseLength(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("it is a duration such as 100ms")
	}
	return d, nil
}

func parseLimit(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxTraces {
		return 0, fmt.Errorf("it is a number from 1 to %d", maxTraces)
	}
	return n, nil
}

// parseSince reads an instant, or how long ago it was.
func parseSince(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("it is a duration such as 10m, or an instant such as 2006-01-02T15:04:05Z")
	}
	return t, nil
}

// quote returns s for an error message, cut if it is absurdly long.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
