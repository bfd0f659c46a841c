package admin

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
)

func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ok, why := a.Ready()
	if role, _ := a.role(r); !ok && role == Nobody {
		writeError(w, http.StatusServiceUnavailable, "not ready", "")
		return
	}
	if !ok {
		writeError(w, http.StatusServiceUnavailable, "not ready: "+why, "")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"state": "ready"})
}

// serverInfo is what /server_info answers.
type serverInfo struct {
	Service       string    `json:"service"`
	Version       string    `json:"version"`
	GoVersion     string    `json:"go_version"`
	Platform      string    `json:"platform"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	State         string    `json:"state"` // "ready" or "not_ready"
	Reason        string    `json:"reason,omitempty"`
	// TelemetryDropped is what each view has lost, by reason, and the sum as "total".
	TelemetryDropped map[string]map[string]uint64 `json:"telemetry_dropped,omitempty"`
}

func (a *api) info() serverInfo {
	info := serverInfo{
		Service: a.Service, Version: a.Version,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		PID: os.Getpid(), Started: a.Started.UTC().Truncate(time.Millisecond),
		UptimeSeconds: time.Since(a.Started).Seconds(), State: "ready",
	}
	if ok, why := a.Ready(); !ok {
		info.State, info.Reason = "not_ready", why
	}
	if a.Dropped != nil {
		info.TelemetryDropped = a.Dropped()
	}
	return info
}

func (a *api) serverInfo(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.info())
}

func (a *api) metrics(w http.ResponseWriter, r *http.Request) { a.Metrics.ServeHTTP(w, r) }

// state makes an endpoint that shows source.
func state(source func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, source()) }
}

func (a *api) configDump(w http.ResponseWriter, _ *http.Request) {
	dump, err := a.ConfigDump()
	if err != nil {
		a.Log.Error("admin: dumping the configuration failed", "error", err)
		writeError(w, http.StatusInternalServerError, "the configuration could not be dumped: "+err.Error(), "")
		return
	}
	writeJSON(w, http.StatusOK, json.RawMessage(dump))
}

func (a *api) drain(w http.ResponseWriter, r *http.Request) {
	a.Log.Info("admin: draining", "by", r.RemoteAddr)
	a.Drain()
	writeJSON(w, http.StatusAccepted, map[string]string{"state": "draining"})
}

func (a *api) reload(w http.ResponseWriter, r *http.Request) {
	a.Log.Info("admin: reloading", "by", r.RemoteAddr)
	changes, err := a.Reload()
	if err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, problem{
			Error: "the new configuration was rejected", Hint: "the old one stays in use; correct the mistakes, then POST /reload again",
			Mistakes: strings.Split(redact.Text(err.Error()), "\n"),
		})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"state": "running", "changes": changes})
}

// act ejects, restores or drains an endpoint by hand.
func (a *api) act(w http.ResponseWriter, r *http.Request) {
	name, endpoint, action := r.PathValue("cluster"), r.PathValue("endpoint"), r.PathValue("action")
	if !slices.Contains([]string{"eject", "restore", "drain"}, action) {
		writeError(w, http.StatusBadRequest, "there is no action "+quote(action), "POST /clusters/NAME/endpoints/ADDR/eject, restore or drain")
		return
	}
	if err := a.Act(name, endpoint, action); err != nil {
		writeError(w, http.StatusNotFound, err.Error(), "GET /clusters has the names of clusters and the addresses of their endpoints")
		return
	}
	a.Log.Info("admin: endpoint changed", "cluster", name, "endpoint", endpoint, "action", action, "by", r.RemoteAddr)
	writeJSON(w, http.StatusOK, map[string]string{"cluster": name, "endpoint": endpoint, "action": action})
}

// guards shows the guards of the routes of a name.
func (a *api) guards(w http.ResponseWriter, r *http.Request) {
	all := a.Guards(r.PathValue("route"))
	if len(all) == 0 {
		writeError(w, http.StatusNotFound, "no route "+quote(r.PathValue("route"))+" has a guard", noGuard)
		return
	}
	writeJSON(w, http.StatusOK, all)
}

const noGuard = "routes with a guard have a name; GET /v1/config lists them"

// resetGuards gives the canaries of the routes of a name their weight again.
func (a *api) resetGuards(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("route")
	if err := a.ResetGuards(name); err != nil {
		writeError(w, http.StatusNotFound, err.Error(), noGuard)
		return
	}
	a.Log.Info("admin: guard reset", "route", name, "by", r.RemoteAddr)
	writeJSON(w, http.StatusOK, a.Guards(name))
}

// logging shows the level and, for POST, sets it first.
func (a *api) logging(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		want := r.URL.Query().Get("level")
		var level slog.Level
		if err := level.UnmarshalText([]byte(want)); err != nil {
			writeError(w, http.StatusBadRequest, "there is no log level "+quote(want),
				"POST /logging?level=debug, or info, warn, error")
			return
		}
		a.Log.Info("admin: log level changes", "from", levelName(a.Level.Level()), "to", levelName(level), "by", r.RemoteAddr)
		a.Level.Set(level)
	}
	writeJSON(w, http.StatusOK, map[string]string{"level": levelName(a.Level.Level())})
}

// levelName is the level as the configuration writes it.
func levelName(l slog.Level) string { return strings.ToLower(l.String()) }
