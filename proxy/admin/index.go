package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// latest is how many failed and how many slow traces the index looks at. It shows them
// by their culprit, mostCulprits at most.
const (
	latest       = 100
	mostCulprits = 10
)

// indexPage is what the page of the index shows.
type indexPage struct {
	Info         serverInfo
	Uptime, Host string
	Off          bool // no hops are kept
	Failed, Slow traceList
	Active       []activeRow // the hops under way for longest
	Endpoints    []endpointRow
}

type traceList struct {
	Blame, None string
	Rows        []traceRow
}

// traceRow is the latest of Count traces that have the same culprit.
type traceRow struct {
	Count                             int
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
		if e.methods == get && !strings.HasSuffix(e.path, "ID") && !strings.HasSuffix(e.path, "=N") && !strings.Contains(e.path, "ADDR") {
			row.Link = e.path
		}
		page.Endpoints = append(page.Endpoints, row)
	}
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, map[string]any{"server": page.Info, "endpoints": page.Endpoints})
		return
	}
	now := time.Now()
	page.Active = a.activeRows(now)
	page.Failed = traceList{Blame: "failing hop", None: "No request has failed."}
	page.Slow = traceList{Blame: "slow hop", None: "No request has been slow."}
	if page.Off = a.Traces == nil || a.Trace == nil; !page.Off {
		page.Failed.Rows = a.byCulprit(store.Query{Failed: true, Limit: latest}, now)
		page.Slow.Rows = a.byCulprit(store.Query{Slow: true, Limit: latest}, now)
	}
	a.page(w, r, http.StatusOK, indexHTML(page))
}

// byCulprit has a row for each culprit of the traces that a query finds: the one that was
// seen last comes first.
func (a *api) byCulprit(q store.Query, now time.Time) (rows []traceRow) {
	place := map[string]int{}
	for _, s := range a.Traces(q) {
		row, of := a.traceRow(s, now, q.Failed)
		if at, ok := place[of]; ok {
			rows[at].Count++
			continue
		}
		place[of] = len(rows)
		rows = append(rows, row)
	}
	return rows[:min(len(rows), mostCulprits)]
}

// traceRow is one line about a trace, with the culprit of its failure, or of its
// slowness. of is the same for traces with the same culprit.
func (a *api) traceRow(s store.Summary, now time.Time, failed bool) (row traceRow, of string) {
	id := s.Trace.String()
	row = traceRow{
		Count: 1, ID: id, Short: id[:12] + "…", At: s.Start.UTC().Format(time.RFC3339Nano),
		Ago: ago(now.Sub(s.Start)), Request: shown(requestLine(s.Root)), Took: short(s.Duration),
		Status: status(s.Status), Class: "good", Hop: shown(s.Failure.Hop), Reason: shown(s.Failure.Reason),
	}
	if s.GRPCStatus != 0 {
		row.Status = s.GRPCStatus.String()
	}
	if s.Status >= 500 || s.Status == 0 || s.GRPCStatus.ServerError() {
		row.Class = "bad"
	}
	of = row.Hop + row.Reason
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
		of = fmt.Sprint(edge(culprit), culprit.Part, cmp.Or(culprit.Kind, culprit.Flags.String(), row.Status))
	}
	if failed && t.Culprit == nil && t.Inner != nil {
		row.Reason += "; did not fail the request"
		of += " recovered"
	}
	return row, of
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
	if _, _, ok := hop.RPC(h.Bytes(h.Path)); ok && h.GRPC && string(h.CallPath()) == path {
		return h.Labels.Service + " " + strings.Join(strings.Fields(path[1:]), " ")
	}
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
