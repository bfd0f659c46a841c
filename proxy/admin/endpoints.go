package admin

import (
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strings"

	runtimepprof "runtime/pprof"
)

// endpoint is one row of the API.
type endpoint struct {
	path    string // as the index shows it
	pattern string // as the mux matches it
	methods string // allowed ones
	help    string
	serve   http.HandlerFunc
}

// The methods of the rows below. GET stands for HEAD too.
const (
	get  = "GET"
	post = "POST"
	both = "GET, POST"
)

// table lists the endpoints that these options can answer, in the order in
// which the index shows them.
func (a *api) table() []endpoint {
	all := []endpoint{
		{"/", "/{$}", get, "this page", a.index},
		{"/ready", "/ready", get, "200 when the proxy takes traffic, otherwise 503 and why not", a.ready},
		{"/server_info", "/server_info", get, "version, uptime, process, state", a.serverInfo},
	}
	add := func(exists bool, e ...endpoint) {
		if exists {
			all = append(all, e...)
		}
	}
	add(a.Metrics != nil, endpoint{"/metrics", "/metrics", get, "Prometheus and OpenMetrics", a.metrics})
	add(true,
		endpoint{"/traces?failed=1", "/traces", get, "recent traces that failed; also slow=1, service=, route=, since=10m, limit=N", a.traces},
		endpoint{"/traces/ID", "/traces/{id}", get, "one trace as a waterfall, the hop to blame named; format=json or text", a.trace},
		endpoint{"/hops?trace=ID", "/hops", get, "every hop of a trace that is known here", a.hops})
	add(a.Store != nil, endpoint{"/store", "/store", get, "how much the memory of recent hops holds", state(a.Store)})
	add(a.Listeners != nil, endpoint{"/listeners", "/listeners", get, "the addresses that take requests", state(a.Listeners)})
	add(a.Clusters != nil, endpoint{"/clusters", "/clusters", get, "the endpoints that requests go to, and their pools", state(a.Clusters)})
	add(a.Catalog != nil, endpoint{"/catalog", "/catalog", get, "the catalogue that is served: its routes, and whether it is known and fresh", state(a.Catalog)})
	add(a.Act != nil, endpoint{"/clusters/NAME/endpoints/ADDR/eject", "/clusters/{cluster}/endpoints/{endpoint}/{action}", post,
		"POST takes an endpoint out by hand: eject, or drain for altogether; restore takes that back", a.act})
	add(a.ConfigDump != nil, endpoint{"/config_dump", "/config_dump", get, "the running configuration, secrets left out", a.configDump})
	add(a.Level != nil, endpoint{"/logging?level=debug", "/logging", both, "the log level; POST changes it: debug, info, warn, error", a.logging})
	add(a.Reload != nil, endpoint{"/reload", "/reload", post, "POST reads the configuration again, and says what that changed", a.reload})
	add(a.Drain != nil, endpoint{"/drain", "/drain", post, "POST stops accepting and lets what is in flight end", a.drain})
	add(true,
		endpoint{"/debug/pprof/", "/debug/pprof/", get, "profiles of the running process, for go tool pprof", profiles},
		endpoint{"/debug/pprof/cmdline", "/debug/pprof/cmdline", get, "the program's name", cmdline},
		endpoint{"/debug/pprof/profile?seconds=N", "/debug/pprof/profile", get, "where the CPU time goes", pprof.Profile},
		endpoint{"/debug/pprof/trace?seconds=N", "/debug/pprof/trace", get, "an execution trace, for go tool trace", pprof.Trace},
		endpoint{"/debug/pprof/symbol", "/debug/pprof/symbol", both, "names for program counters, for go tool pprof", pprof.Symbol})
	return all
}

// only lets an endpoint's methods through and names them to all others.
func (a *api) only(e endpoint) http.Handler {
	list := strings.Replace(e.methods, get, "GET, HEAD", 1)
	allow := strings.Split(list, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(allow, r.Method) {
			w.Header().Set("Allow", list)
			writeError(w, http.StatusMethodNotAllowed, r.Method+" is not a method of "+r.URL.Path, "use "+e.methods)
			return
		}
		e.serve(w, r)
	})
}

// notFound answers every path that no endpoint has.
func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	p := problem{Error: "there is no " + r.URL.Path + " here", Hint: "these are the endpoints"}
	for _, e := range a.endpoints {
		p.Endpoints = append(p.Endpoints, e.methods+" "+e.path)
	}
	writeJSON(w, http.StatusNotFound, p)
}

// profiles is pprof's own page and its named profiles. The page brings its
// style along, which the policy of the other pages would keep out.
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
