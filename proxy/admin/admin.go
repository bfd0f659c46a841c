package admin

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// Options are the sources that the admin API shows. An endpoint whose source
// is nil does not exist, unless the field says otherwise.
type Options struct {
	// Service and Version name the proxy; Started is when it was.
	Service, Version string
	Started          time.Time
	// Log takes what the API changes and what it could not do; nil is
	// [slog.Default].
	Log *slog.Logger
	// Level is what POST /logging changes.
	Level *slog.LevelVar
	// Metrics serves /metrics.
	Metrics http.Handler
	// Trace returns the hops of a trace, in any order, as far as they are
	// known. It and Traces are nil where no hops are kept; the pages say so.
	Trace func(hop.TraceID) []*hop.Hop
	// Traces lists recent traces, latest first.
	Traces func(store.Query) []store.Summary
	// Ready reports whether the proxy takes traffic, and if not, why; nil is
	// always.
	Ready func() (ok bool, why string)
	// Clusters, Listeners and Store return state that encoding/json can
	// marshal. They are called for each request.
	Clusters, Listeners, Catalog, Store func() any
	// Dropped is how much each view of the telemetry has lost, by reason, without what
	// is 0; nil where that is not known.
	Dropped func() map[string]map[string]uint64
	// Act does to an endpoint of a cluster, by their names, what a person asks
	// for: "eject", "restore" or "drain". An error says that there is none.
	Act func(cluster, endpoint, action string) error
	// ConfigDump returns the running configuration as JSON, without its
	// secrets.
	ConfigDump func() ([]byte, error)
	// Reload has the configuration read again, and returns what that changed,
	// for encoding/json. An error, with a line for each mistake, says that
	// nothing has changed.
	Reload func() (any, error)
	// Drain begins to drain and returns at once. It may be called again.
	Drain func()
	// Stall is how long a client may take to read 32 KiB of an answer before it
	// is given up; default 5 s. No client has more than 30 s for an answer.
	Stall time.Duration
}

// New returns the admin API as a handler, for [NewServer]. It serves the paths that
// "/" lists, and answers every error with a JSON object of "error" and "hint".
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ready == nil {
		o.Ready = func() (bool, string) { return true, "" }
	}
	a := &api{Options: o, pages: newPages()}
	a.endpoints = a.table()
	mux := http.NewServeMux()
	for _, e := range a.endpoints {
		mux.Handle(e.pattern, a.only(e))
	}
	mux.HandleFunc("/", a.notFound)
	return guard(mux)
}

// api is the handler's state; nothing in it changes after New.
type api struct {
	Options
	endpoints []endpoint
	pages     pages
}
