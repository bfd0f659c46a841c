package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	peers "github.com/hopscope/hopscope/mesh" // mesh is the demo's own
	"github.com/hopscope/hopscope/proxy/admin"
	"github.com/hopscope/hopscope/telemetry/store"
)

// meshAdmin is the one admin API of the whole mesh: the pages of proxy/admin over the
// stores of all sidecars, and what each sidecar's own admin API says, under the
// service's name.
type meshAdmin struct {
	listener net.Listener
	server   *admin.Server
	sidecars []sidecar
	client   *http.Client
	caller   *peers.Caller
	version  string
	started  time.Time
}

// listenAdmin binds the address, or a free port if it is taken; moved reports which.
func listenAdmin(address string) (l net.Listener, moved bool, err error) {
	l, err = net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(address)
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
		moved = true
	}
	if err != nil {
		return nil, false, fmt.Errorf("demo: the admin API can't listen: %w", err)
	}
	return l, moved, nil
}

func newMeshAdmin(l net.Listener, m *mesh, t traces, o Options) *meshAdmin {
	a := &meshAdmin{listener: l, sidecars: m.sidecars, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}},
		caller: peers.NewCaller(peers.Access{}), version: o.Version, started: time.Now().UTC()}
	a.server = admin.NewServer(admin.New(admin.Options{
		Service: "demo mesh", Version: o.Version, Started: a.started, Log: o.Log, Level: o.Level,
		Metrics: http.HandlerFunc(a.metrics), Trace: t.trace, Traces: t.find,
		Clusters: a.each("/clusters"), Listeners: a.each("/listeners"), Store: t.stats(m.sidecars),
		ConfigDump: func() ([]byte, error) { return json.Marshal(a.configs()) },
		Mesh:       &admin.Mesh{Name: "demo", Members: a.members, Send: a.caller.Send},
	}), o.Log, func() int { return math.MaxInt })
	return a
}

func (a *meshAdmin) serve() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("demo: the admin API stopped: %w", err)
	}
	return nil
}

func (a *meshAdmin) close() {
	a.server.Close()
	a.listener.Close()
	a.client.CloseIdleConnections()
	a.caller.Close()
}

// members are the sidecars: commands that ask this address ask all of them.
func (a *meshAdmin) members(context.Context) []peers.Member {
	var all []peers.Member
	for _, s := range a.sidecars {
		address := s.proxy.AdminAddr().String()
		all = append(all, peers.Member{Service: s.service, Instance: s.service, Address: address, Version: a.version, Since: a.started})
	}
	return all
}

// stats is the state of each sidecar's memory.
func (t traces) stats(sidecars []sidecar) func() any {
	return func() any {
		all := map[string]store.Stats{}
		for i, s := range t {
			all[sidecars[i].service] = s.Stats()
		}
		return all
	}
}

// configs is the configuration of each sidecar, without secrets.
func (a *meshAdmin) configs() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for _, s := range a.sidecars {
		all[s.service] = s.config.DumpJSON()
	}
	return all
}

// each makes a source of what every sidecar's admin API answers at path.
func (a *meshAdmin) each(path string) func() any {
	type answer struct {
		Admin  string          `json:"admin"`
		Answer json.RawMessage `json:"answer,omitempty"`
		Error  string          `json:"error,omitempty"`
	}
	return func() any {
		all := map[string]answer{}
		for _, s := range a.sidecars {
			got := answer{Admin: "http://" + s.proxy.AdminAddr().String() + "/"}
			body, err := a.get(context.Background(), s, path)
			if err != nil {
				got.Error = err.Error()
			} else {
				defer body.Close()
				if err := json.NewDecoder(body).Decode(&got.Answer); err != nil {
					got.Error = err.Error()
				}
			}
			all[s.service] = got
		}
		return all
	}
}

func (a *meshAdmin) get(ctx context.Context, s sidecar, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.proxy.AdminAddr().String()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answered %s", req.URL, resp.Status)
	}
	return resp.Body, nil
}

// metrics joins the metrics of all sidecars, told apart by the label service.
// Those of the one process that they all live in are taken once.
func (a *meshAdmin) metrics(w http.ResponseWriter, r *http.Request) {
	joined := map[string]*dto.MetricFamily{}
	for i, s := range a.sidecars {
		families, err := a.scrape(r.Context(), s)
		if err != nil {
			http.Error(w, fmt.Sprintf("metrics of %s: %v", s.service, err), http.StatusBadGateway)
			return
		}
		for name, family := range families {
			if !label(family, s.service) && i > 0 {
				continue
			}
			if known := joined[name]; known != nil {
				known.Metric = append(known.Metric, family.Metric...)
				continue
			}
			joined[name] = family
		}
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	w.Header().Set("Content-Type", string(format))
	encoder := expfmt.NewEncoder(w, format)
	for _, name := range slices.Sorted(maps.Keys(joined)) {
		if encoder.Encode(joined[name]) != nil {
			return // the scraper went away
		}
	}
}

func (a *meshAdmin) scrape(ctx context.Context, s sidecar) (map[string]*dto.MetricFamily, error) {
	body, err := a.get(ctx, s, "/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(body)
}

// label gives each metric of the family the label service where it has none.
// It reports false for a family of the process.
func label(family *dto.MetricFamily, service string) bool {
	if name := family.GetName(); strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
		return false
	}
	key := "service"
	for _, m := range family.Metric {
		labelled := false
		for _, l := range m.Label {
			labelled = labelled || l.GetName() == key
		}
		if !labelled {
			m.Label = append(m.Label, &dto.LabelPair{Name: &key, Value: &service})
		}
	}
	return true
}
