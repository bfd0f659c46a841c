package admin

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/panics"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tail"
)

// Options are the sources that the admin API shows. An endpoint whose source
// is nil does not exist, unless the field says otherwise.
type Options struct {
	// Service, Instance and Version name the proxy; Started is when it started, and Address
	// where the API listens.
	Service, Instance, Version, Address string
	Started                             time.Time
	// Process is an id of this process, other for each; New makes one for "".
	Process string
	// Mesh is the mesh that this proxy belongs to, nil for none.
	Mesh *Mesh
	// Access says who may ask; nil lets everyone do everything.
	Access *Access
	// Log receives what the API changes and what it could not do; nil is [slog.Default].
	Log *slog.Logger
	// Panics counts panics while an answer is put together; nil counts none.
	Panics *panics.Counter
	// Level is what POST /logging changes.
	Level *slog.LevelVar
	// Metrics serves /metrics.
	Metrics http.Handler
	// Trace returns the known hops of a trace, in any order. It and Traces are nil if no
	// hops are kept; the pages then say so.
	Trace func(hop.TraceID) []*hop.Hop
	// Strays returns the calls that began a trace of their own while a service here answered
	// a request of the trace with these hops, and what they were made for, if that is sure;
	// nil finds none.
	Strays func(hops []*hop.Hop) (calls []*hop.Hop, joins []diagnose.Join)
	// Traces lists recent traces, latest first.
	Traces func(store.Query) []store.Summary
	// Why returns the digest of the time since an instant; nil if no hops are kept.
	Why func(since time.Time) *why.Digest
	// Pin exports the hops of traces that this proxy still has, and those that end soon. It
	// returns how many traces it took.
	Pin func(ctx context.Context, traces []hop.TraceID) (taken int)
	// Tail has the hops as they end.
	Tail *tail.Tail
	// Top returns what was counted since the start, by service and callee.
	Top func() *top.Counts
	// Series returns what was counted in so many windows until now.
	Series func(now time.Time, windows int) *series.Part
	// Active has the hops under way; nil if that is not known.
	Active *active.Table
	// Ready reports whether the proxy takes traffic, and if not, why; nil means always.
	Ready func() (ok bool, why string)
	// Clusters, Listeners, Routes, Catalog and Store return state that encoding/json can
	// marshal. They are called for each request.
	Clusters, Listeners, Routes, Catalog, Store func() any
	// Events returns what happened to the proxy at an instant or later, the earliest first.
	Events func(since time.Time) []events.Event
	// Dropped returns how much each telemetry view has lost, by reason, without zeros;
	// nil if that is not known.
	Dropped func() map[string]map[string]uint64
	// Config is the configuration in force, for people, with what each part of it does.
	Config func() any
	// Explain says what becomes of a request, and ExplainHops what became of those of a trace:
	// headers are field lines of the request that are not recorded. ExplainHops is nil if no
	// hops are kept.
	Explain     func(explain.Request) (*explain.Explanation, error)
	ExplainHops func(trace hop.TraceID, headers []string) []*explain.Explanation
	// Act applies an action to an endpoint of a cluster, both by name: "eject", "restore"
	// or "drain". It returns an error if there is no such endpoint.
	Act func(cluster, endpoint, action string) error
	// Guards are those of the routes of a name, for encoding/json; none if there is no such
	// route. ResetGuards resets them. It fails if the name has none.
	Guards      func(route string) []any
	ResetGuards func(route string) error
	// ConfigDump returns the running configuration as JSON, without its
	// secrets.
	ConfigDump func() ([]byte, error)
	// Reload reads the configuration again, and returns what changed, for encoding/json.
	// On an error, which has a line for each mistake, nothing has changed.
	Reload func() (any, error)
	// Drain begins to drain and returns at once. It may be called again.
	Drain func()
	// Stall is how long a client may take to read 32 KiB of an answer before it is cut
	// off; default 5 s. No client has more than 30 s for an answer.
	Stall time.Duration
}

// New returns the admin API as a handler, for [NewServer]. It serves the paths that
// "/" lists, and answers every error with a JSON object of "error" and "hint".
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Process == "" {
		o.Process = rand.Text()
	}
	if o.Ready == nil {
		o.Ready = func() (bool, string) { return true, "" }
	}
	a := &api{Options: o, mux: http.NewServeMux(), shared: newShared(), sessions: newSessions()}
	a.client = mesh.Within(a.members, a.ask, a.caught)
	a.all, a.failed = newLive(a.client, false), newLive(a.client, true)
	a.endpoints = a.table()
	for _, e := range a.endpoints {
		a.mux.Handle(e.pattern, a.only(e))
	}
	a.mux.HandleFunc("/", a.notFound)
	a.inner = a.innerMux()
	return guard(toConsole(a.mux))
}

// api is the handler's state. What changes after New is in shared, sessions, all
// and failed.
type api struct {
	Options
	endpoints []endpoint
	mux       *http.ServeMux
	inner     *http.ServeMux // what this proxy asks itself
	client    *mesh.Client   // of the whole mesh
	shared    *shared
	sessions  *sessions
	// all and failed have the traces of the mesh as they end.
	all, failed *live
}

// caught notes a panic of a goroutine that no handler of net/http watches over.
func (a *api) caught(p any) { a.Panics.Caught(p, "an answer of the admin API", "") }
