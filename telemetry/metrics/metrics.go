package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options describe the process. The zero value works.
type Options struct {
	// NativeHistograms adds Prometheus' native histograms to the classic buckets, with a
	// growth factor of at most 1.1 and at most 160 buckets. Only scrapers that ask for
	// protobuf get them.
	NativeHistograms bool
	// Service is the label of metrics that tell of the process.
	Service string
	// Version and Revision go into hopscope_build_info.
	Version, Revision string
	// Log receives scrape errors; default is to discard them.
	Log *slog.Logger
}

// Metrics turns Hops into Prometheus metrics, and has the registry of the process's other
// metrics. It is a record.View; its other methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
	native   bool

	mu        sync.Mutex // guards the fields below, and all their numbers
	series    map[seriesKey]*series
	families  families
	methods   map[string]*names // of gRPC, by service
	culprits  *names            // values of failed_hop
	kinds     *names            // values of kind
	ledger    ledger
	described []Description

	reloads    *prometheus.CounterVec
	reloaded   prometheus.Gauge
	reloadedAt prometheus.Gauge
}

// New returns metrics with a registry of their own, which also holds the
// collectors of the Go runtime and of the process.
func New(o Options) *Metrics {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		log:      o.Log,
		native:   o.NativeHistograms,
		series:   map[seriesKey]*series{},
		families: newFamilies(),
		methods:  map[string]*names{},
		culprits: newNames(maxCulprits),
		kinds:    newNames(maxKinds),
		ledger:   newLedger(),
	}
	for _, f := range m.families.all() {
		m.described = append(m.described, f.Description)
	}
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts(m.opts("counter", "hopscope_config_reloads_total",
		"Attempts to load a changed configuration, by result.", o.Service, "result")), []string{"result"})
	m.reloaded = prometheus.NewGauge(prometheus.GaugeOpts(m.opts("gauge", "hopscope_config_last_reload_successful",
		"1 while the configuration that runs is the last one that was given, 0 after a reload that failed.", o.Service)))
	m.reloadedAt = prometheus.NewGauge(prometheus.GaugeOpts(m.opts("gauge", "hopscope_config_last_reload_success_timestamp_seconds",
		"When the configuration that runs was loaded, in Unix time.", o.Service)))
	info := m.opts("gauge", "hopscope_build_info", "Always 1; the labels say what runs.", o.Service, "version", "revision", "goversion")
	info.ConstLabels["version"], info.ConstLabels["revision"], info.ConstLabels["goversion"] = o.Version, o.Revision, runtime.Version()
	build := prometheus.NewGauge(prometheus.GaugeOpts(info))
	build.Set(1)
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
	m.registry.MustRegister(ProcessCollectors()...)
	m.registry.MustRegister(
		build, m.reloads, m.reloaded, m.reloadedAt,
		(*hopCollector)(m),
	)
	return m
}

// ProcessCollectors returns what collects the metrics of Go's runtime and of the process.
func ProcessCollectors() []prometheus.Collector {
	return []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
}

// opts describes a metric of Prometheus' client, which has the label service beside labels.
func (m *Metrics) opts(kind, name, help, service string, labels ...string) prometheus.Opts {
	m.described = append(m.described, Description{name, kind, help, append([]string{"service"}, labels...)})
	return prometheus.Opts{Name: name, Help: help, ConstLabels: prometheus.Labels{"service": service}}
}

// Describe returns what each metric is that has been registered, in order of names;
// those of Prometheus' own collectors (go_ and process_) are left out.
func (m *Metrics) Describe() []Description {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.described)
	slices.SortFunc(all, func(a, b Description) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Reloaded counts an attempt to load a changed configuration; err is nil if it succeeded.
func (m *Metrics) Reloaded(err error) {
	if err != nil {
		m.reloads.WithLabelValues("failure").Inc()
		m.reloaded.Set(0)
		return
	}
	m.reloads.WithLabelValues("success").Inc()
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
}

// Handler answers scrapes in the format that the scraper asks for: Prometheus
// text, OpenMetrics (with exemplars) or protobuf (with native histograms).
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// One bad metric must not hide all others.
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      slog.NewLogLogger(m.log.Handler(), slog.LevelError),
	})
}

// Name is "metrics".
func (m *Metrics) Name() string { return "metrics" }

// Observe counts one hop.
func (m *Metrics) Observe(h *hop.Hop) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := h.Labels.Metrics.(*series)
	if !ok {
		s = m.resolve(h.Labels)
	}
	if !s.retired {
		m.count(s.of(h), h)
		m.blame(h)
	}
}

// Tick does nothing: numbers are never held back.
func (m *Metrics) Tick(time.Time) {}

// Close does nothing: the last numbers stay readable.
func (m *Metrics) Close(context.Context) error { return nil }
