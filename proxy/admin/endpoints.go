package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/mesh"

	runtimepprof "runtime/pprof"
)

// endpoint is one row of the API.
type endpoint struct {
	path     string // as the index shows it
	pattern  string // as the mux matches it
	methods  string // allowed ones
	help     string
	serve    http.HandlerFunc
	lane     lane // nil if it costs next to nothing
	page     bool // a person may follow a link to it from another site
	open     bool // everyone may ask for it
	harmless bool // whoever may read may POST to it
	mesh     bool // it asks the whole mesh: a page of another site may not, nor another proxy
}

// The methods of the rows below. GET stands for HEAD too.
const (
	get  = "GET"
	post = "POST"
	both = "GET, POST"
	sign = "GET, POST, DELETE"
)

// table lists the endpoints that these options can answer, in the order in
// which the index shows them.
func (a *api) table() []endpoint {
	views, scrapes, profiling, relays := make(lane, maxViews), make(lane, maxScrapes), make(lane, maxProfiles), make(lane, maxRelays)
	row := func(path, pattern, methods, help string, serve http.HandlerFunc) endpoint {
		return endpoint{path: path, pattern: pattern, methods: methods, help: help, serve: serve}
	}
	costly := func(l lane, path, pattern, help string, serve http.HandlerFunc) endpoint {
		return endpoint{path: path, pattern: pattern, methods: get, help: help, serve: serve, lane: l}
	}
	page := func(e endpoint) endpoint {
		e.page = true
		return e
	}
	open := func(yes bool, e endpoint) endpoint {
		e.open = yes
		return e
	}
	harmless := func(e endpoint) endpoint {
		e.harmless = true
		return e
	}
	all := []endpoint{
		page(costly(views, "/", "/{$}", "leads browsers to the console; for programs it is the same as /paths", a.index)),
		page(costly(views, "/paths", "/paths", "this page", a.index)),
		open(true, row("/console/", "/console/", get, "the web console; its files hold no data, so they need no token", serveConsole())),
		open(a.Access != nil && a.Access.Ready, row("/ready", "/ready", get, "200 when the proxy takes traffic, otherwise 503 and why not", a.ready)),
		row("/server_info", "/server_info", get, "version, uptime, process, state", a.serverInfo),
	}
	add := func(exists bool, e ...endpoint) {
		if exists {
			all = append(all, e...)
		}
	}
	add(a.Metrics != nil, open(a.Access != nil && a.Access.Metrics, costly(scrapes, "/metrics", "/metrics", "Prometheus and OpenMetrics", a.metrics)))
	add(true,
		costly(views, "/traces?failed=1", "/traces", "recent traces that failed; also slow=1, service=, route=, culprit=, since=10m, limit=N", a.traces),
		page(costly(views, "/traces/ID", "/traces/{id}", "one trace as a waterfall, the hop to blame named; format=json or text; from=N goes on where a long one ends", a.trace)),
		costly(views, "/hops?trace=ID", "/hops", "every hop of a trace that is known here; from=N goes on, as the Link field says; active=1 lists the hops under way instead, with what each waits for; also slow=1, limit=N", a.hops))
	add(a.Why != nil, costly(views, "/v1/why?since=10m", "/v1/why", "what failed here, and the counts of what did not, for hopscope why", a.why))
	add(a.Tail != nil, costly(make(lane, maxTails), "/v1/tail?failed=1", "/v1/tail", "hops as they end, a JSON object a line; wait=10s goes on for so long, after=N from a line before", a.tail))
	add(a.Top != nil, costly(views, "/v1/top", "/v1/top", "requests, failures and durations since the start, by service and by callee, for hopscope top", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, a.Top()) }))
	add(a.Events != nil, costly(views, "/v1/events?since=10m", "/v1/events", "what happened to the proxy: endpoints, health, reloads, limits", a.events))
	add(true,
		costly(views, "/v1/traces?failed=1", "/v1/traces", "the same as /traces, for programs; everything under /v1 only ever grows", a.traces),
		costly(views, "/v1/hops?trace=ID", "/v1/hops", "the same as /hops, for programs", a.hops),
		costly(views, "/v1/strays?trace=ID", "/v1/strays", "calls that began a trace of their own while a service here answered a request of this one", a.strays),
		open(true, row("/v1/session", "/v1/session", sign, "who you are; POST signs a browser in by a token, DELETE out", a.session)),
		row("/v1/self", "/v1/self", get, "who this proxy is", a.selfInfo),
		costly(views, "/v1/words", "/v1/words", "every flag, kind, error type and event in words", a.words),
		costly(relays, "/v1/peers", "/v1/peers", "the members of the mesh, and who each is", a.peers),
		costly(relays, "/v1/peers/ADDR/v1/hops?trace=ID", "/v1/peers/{address}/v1/{path...}", "what a member answers to a path below /v1", a.relay))
	add(a.Series != nil, costly(views, "/v1/series?since=1h", "/v1/series", "what was counted in each window of the last hour, for /v1/mesh/series", a.history))
	add(a.Config != nil, costly(views, "/v1/config", "/v1/config", "the configuration in force, with how often each route was used, and the state of endpoints and certificates", state(a.Config)))
	if a.Explain != nil {
		const help = "what becomes of a request, and why: the route, what each route before it misses, the request as it goes out; POST has the request as JSON; hop=ID explains the hops of a trace; format=text is for people"
		for _, path := range []string{"/explain", "/v1/explain"} {
			e := costly(views, path+"?url=/cart/7", path, help, a.explain)
			e.methods, e.harmless = both, true
			all = append(all, e)
		}
	}
	ofMesh := func(path, pattern, help string, q meshQuestion, fresh time.Duration) endpoint {
		e := row(path, pattern, get, help, a.ofMesh(q, fresh))
		e.mesh = true
		return e
	}
	add(true,
		ofMesh("/v1/mesh/why?since=10m", "/v1/mesh/why", "why requests fail over the whole mesh, as hopscope why --json says it", a.meshWhy, meshFresh),
		ofMesh("/v1/mesh/traces?failed=1", "/v1/mesh/traces", "recent traces of the whole mesh, with the parameters of /v1/traces", a.meshTraces, meshFresh),
		ofMesh("/v1/mesh/trace/ID", "/v1/mesh/trace/{id}", "one trace over the whole mesh, and which hop failed", a.meshTrace, meshFresh),
		ofMesh("/v1/mesh/events?since=1h", "/v1/mesh/events", "what happened to the proxies of the mesh", a.meshEvents, meshFresh),
		ofMesh("/v1/mesh/series?since=1h", "/v1/mesh/series", "requests, failures and durations of the last hour: of services, edges, routes and endpoints", a.meshSeries, seriesFresh),
		ofMesh("/v1/mesh/active", "/v1/mesh/active", "the requests of the whole mesh that are under way for longest; also limit=N", a.meshActive, meshFresh),
		ofMesh("/v1/mesh/peers", "/v1/mesh/peers", "the members of the mesh, asked whether they answer now", a.meshPeers, meshFresh))
	tail := costly(make(lane, maxStreams), "/v1/mesh/tail?failed=1", "/v1/mesh/tail", "the traces of the whole mesh as they end, a JSON object a line; also service=, rate=N a second", a.meshTail)
	tail.mesh = true
	add(true, tail)
	add(a.Pin != nil, harmless(row("/v1/pins", "/v1/pins", post, "POST has the hops of traces exported that failed elsewhere: members ask each other", a.pins)))
	add(a.Store != nil, costly(views, "/store", "/store", "how much the memory of recent hops holds", state(a.Store)))
	add(a.Listeners != nil, costly(views, "/listeners", "/listeners", "the addresses that take requests", state(a.Listeners)))
	add(a.Routes != nil, costly(views, "/routes", "/routes", "the routes of all listeners: hits, errors, the last hit within an hour, and those that are unused or that no request can take", state(a.Routes)),
		costly(views, "/v1/routes", "/v1/routes", "the same as /routes, for programs", state(a.Routes)))
	add(a.Clusters != nil, costly(views, "/clusters", "/clusters", "the endpoints that requests go to, and their pools", state(a.Clusters)))
	add(a.Catalog != nil, costly(views, "/catalog", "/catalog", "the catalog that is served: its routes, and whether it is known and fresh", state(a.Catalog)))
	add(a.Act != nil, row("/clusters/NAME/endpoints/ADDR/eject", "/clusters/{cluster}/endpoints/{endpoint}/{action}", post,
		"POST takes an endpoint out by hand: eject, or drain for altogether; restore takes that back", a.act))
	add(a.Guards != nil,
		costly(views, "/routes/NAME/guard", "/routes/{route}/guard", "how the canary of a route compares with its other targets, and whether it was taken back", a.guards),
		row("/routes/NAME/guard/reset", "/routes/{route}/guard/reset", post, "POST gives the canary of a route its weight again", a.resetGuards))
	add(a.ConfigDump != nil, costly(views, "/config_dump", "/config_dump", "the running configuration, secrets left out", a.configDump))
	add(a.Level != nil, row("/logging?level=debug", "/logging", both, "the log level; POST changes it: debug, info, warn, error", a.logging))
	add(a.Reload != nil, row("/reload", "/reload", post, "POST reads the configuration again, and says what changed", a.reload))
	add(a.Drain != nil, row("/drain", "/drain", post, "POST stops accepting and lets what is in flight end", a.drain))
	add(true,
		costly(profiling, "/debug/pprof/", "/debug/pprof/", "profiles of the running process, for go tool pprof", timed(profiles)),
		costly(profiling, "/debug/pprof/cmdline", "/debug/pprof/cmdline", "the program's name", cmdline),
		costly(profiling, "/debug/pprof/profile?seconds=N", "/debug/pprof/profile", "where the CPU time goes", timed(pprof.Profile)),
		costly(profiling, "/debug/pprof/trace?seconds=N", "/debug/pprof/trace", "an execution trace, for go tool trace", timed(pprof.Trace)),
		harmless(row("/debug/pprof/symbol", "/debug/pprof/symbol", both, "names for program counters, for go tool pprof", pprof.Symbol)))
	return all
}

// needs returns the role for a method.
func (e endpoint) needs(method string) Role {
	if method == http.MethodGet || method == http.MethodHead || e.harmless {
		return Reader
	}
	return Controller
}

// only lets in who may ask, lets an endpoint's methods through, and answers others with
// the list of methods. Costly endpoints are answered in their lane, and refused to pages
// of other sites. Every answer is paced by its reader.
func (a *api) only(e endpoint) http.Handler {
	serve := e.serve
	if e.lane != nil {
		serve = e.lane.serve(serve)
	}
	list := strings.Replace(e.methods, get, "GET, HEAD", 1)
	allow := strings.Split(list, ", ")
	return http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		w := pace(writer, a.stall())
		if r.ContentLength != 0 { // no endpoint takes content: stop waiting for it
			_ = w.control.SetReadDeadline(time.Now().Add(a.stall()))
		}
		if !e.open && !a.admit(w, r, e.needs(r.Method)) {
			return
		}
		if !slices.Contains(allow, r.Method) {
			w.Header().Set("Allow", list)
			writeError(w, http.StatusMethodNotAllowed, r.Method+" is not a method of "+r.URL.Path, "use "+e.methods)
			return
		}
		if e.mesh && r.Header.Get(mesh.HeaderRelay) != "" {
			writeError(w, http.StatusLoopDetected, "this asks the whole mesh, and is not relayed", "ask this proxy itself")
			return
		}
		if (e.lane != nil || e.mesh) && asksFromElsewhere(r, e.page) {
			writeError(w, http.StatusForbidden, "a page of another site may not request this", "open it in a tab of its own, or ask from the command line")
			return
		}
		serve(w, r)
	})
}

func (a *api) stall() time.Duration { return cmp.Or(a.Stall, stall) }

// maxSeconds is how long a profile may be.
const maxSeconds = 300

// timed refuses profiles that would take too long.
func timed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s := r.FormValue("seconds"); s != "" {
			if n, err := strconv.ParseFloat(s, 64); err != nil || !(n > 0 && n <= maxSeconds) {
				writeError(w, http.StatusBadRequest, "seconds="+quote(s)+" is not a valid duration for a profile", fmt.Sprintf("it is a number above 0, at most %d", maxSeconds))
				return
			}
		}
		next(w, r)
	}
}

// notFound answers every path that no endpoint has.
func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	if a.admit(w, r, Reader) {
		a.notHere(w, r)
	}
}

func (a *api) notHere(w http.ResponseWriter, r *http.Request) {
	p := problem{Error: "there is no " + r.URL.Path + " here", Hint: "these are the endpoints"}
	for _, e := range a.endpoints {
		p.Endpoints = append(p.Endpoints, e.methods+" "+e.path)
	}
	writeJSON(w, http.StatusNotFound, p)
}

// profiles is pprof's own page and its named profiles. The page has inline styles, which
// the policy of the other pages forbids.
func profiles(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/debug/pprof/")
	if name != "" && runtimepprof.Lookup(name) == nil {
		writeError(w, http.StatusNotFound, "there is no profile "+name, "GET /debug/pprof/ lists the profiles")
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	pprof.Index(w, r)
}

// cmdline is pprof's, without the arguments: a collector's URL among them may
// hold a password.
func cmdline(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(os.Args[0]))
}
