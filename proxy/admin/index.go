package admin

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// latest is how many failed and how many slow traces the index shows.
const latest = 10

// indexPage is what the index template shows.
type indexPage struct {
	Info         serverInfo
	Uptime, Host string
	Off          bool // no hops are kept
	Failed, Slow traceList
	Endpoints    []endpointRow
}

type traceList struct {
	Blame, None string
	Rows        []traceRow
}

type traceRow struct {
	ID, Short, At, Ago, Request, Took string
	Status, Class, Hop, Reason, Help  string
}

type endpointRow struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Link   string `json:"-"`
	Help   string `json:"help"`
}

// index answers "/": a page for people, or JSON for programs.
func (a *api) index(w http.ResponseWriter, r *http.Request) {
	page := indexPage{Info: a.info(), Host: r.Host}
	page.Uptime = time.Since(a.Started).Round(time.Second).String()
	for _, e := range a.endpoints {
		row := endpointRow{Method: e.methods, Path: e.path, Help: e.help}
		if e.methods == get && !strings.HasSuffix(e.path, "ID") && !strings.HasSuffix(e.path, "=N") {
			row.Link = e.path
		}
		page.Endpoints = append(page.Endpoints, row)
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]any{"server": page.Info, "endpoints": page.Endpoints})
		return
	}
	now := time.Now()
	page.Failed = traceList{Blame: "failing hop", None: "No request has failed."}
	page.Slow = traceList{Blame: "slow hop", None: "No request has been slow."}
	if page.Off = a.Traces == nil || a.Trace == nil; !page.Off {
		for _, s := range a.Traces(store.Query{Failed: true, Limit: latest}) {
			page.Failed.Rows = append(page.Failed.Rows, a.traceRow(s, now, true))
		}
		for _, s := range a.Traces(store.Query{Slow: true, Limit: latest}) {
			page.Slow.Rows = append(page.Slow.Rows, a.traceRow(s, now, false))
		}
	}
	a.page(w, http.StatusOK, "index", page)
}

// traceRow is one line about a trace, with the culprit of its failure, or of
// its slowness.
func (a *api) traceRow(s store.Summary, now time.Time, failed bool) traceRow {
	id := s.Trace.String()
	row := traceRow{
		ID: id, Short: id[:12] + "…", At: s.Start.UTC().Format(time.RFC3339Nano),
		Ago: ago(now.Sub(s.Start)), Request: shown(requestLine(s.Root)), Took: short(s.Duration),
		Status: status(s.Status), Class: "good", Hop: shown(s.FailedHop), Reason: shown(s.Reason),
	}
	if s.Status >= 500 || s.Status == 0 {
		row.Class = "bad"
	}
	t := diagnose.Build(s.Trace, diagnose.Part(a.Trace(s.Trace), maxNodes))
	culprit := t.Slowest
	if failed {
		culprit = cmp.Or(t.Culprit, t.Inner)
	}
	if culprit != nil && culprit.Flags != 0 {
		row.Help = help(culprit.Flags)
	}
	if culprit != nil {
		row.Hop, row.Reason = shown(edge(culprit)), shown(reason(culprit))
	}
	if failed && t.Culprit == nil && t.Inner != nil {
		row.Reason += "; did not fail the request"
	}
	return row
}

// edge names the culprit, and who met it on the way there.
func edge(c *diagnose.Culprit) string {
	if c.Caller == "" {
		return c.Service
	}
	return c.Caller + " → " + c.Service
}

// reason is the culprit's, with its flags.
func reason(c *diagnose.Culprit) string {
	if c.Flags == 0 {
		return c.Reason
	}
	return c.Reason + " (" + c.Flags.String() + ")"
}

// requestLine is the service, method and path of a hop.
func requestLine(h *hop.Hop) string {
	path := h.String(h.Path)
	if h.Kind == hop.KindTunnel && path == "" {
		path = h.String(h.Host)
	}
	return strings.Join(strings.Fields(h.Labels.Service+" "+method(h)+" "+path), " ")
}

// method is the method as it was sent.
func method(h *hop.Hop) string { return cmp.Or(h.String(h.MethodText), h.Method) }

// status returns a status for people. 0 means that no response began.
func status(code int) string {
	if code == 0 {
		return "none"
	}
	return strconv.Itoa(code)
}

// short returns a duration with the significant digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < 100*time.Millisecond:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
}

// ago says how long ago something was.
func ago(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return d.Truncate(time.Second).String() + " ago"
}
