package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
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

	mu     sync.Mutex // guards the fields below, and all their numbers
	series map[seriesKey]*series

	requests, attempts, failures, connections *family
	bytesIn, bytesOut                         *family
	server, client                            *family

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
		requests: newFamily("hopscope_requests_total",
			"Hops: requests, tunnels and connections whose request could not be understood. code is 0 where no response began; grpc_status is the name of a gRPC call's status, as UNAVAILABLE, and empty for others; flag is the first response flag.",
			"service", "route", "cluster", "method", "code", "grpc_status", "flag"),
		attempts: newFamily("hopscope_attempts_total",
			"Tries at an endpoint. code is 0 where no response came; grpc_status and flag are as in hopscope_requests_total.",
			"service", "route", "cluster", "code", "grpc_status", "flag"),
		failures: newFamily("hopscope_failures_total",
			"Failed hops by who made the failure: downstream, proxy (this one), endpoint, or relayed from a hop farther upstream.",
			"service", "route", "cluster", "origin"),
		connections: newFamily("hopscope_connection_failures_total",
			"Connections from clients that ended before a request could be understood, or by breaking the protocol: TLS handshakes that failed, floods, malformed heads. reason is the hop's details, as downstream_tls_error{certificate_expired}.",
			"service", "listener", "reason"),
		bytesIn: newFamily("hopscope_request_bytes_total",
			"Body bytes received from clients.",
			"service", "direction", "route", "cluster"),
		bytesOut: newFamily("hopscope_response_bytes_total",
			"Body bytes sent to clients.",
			"service", "direction", "route", "cluster"),
		server: newFamily("http_server_request_duration_seconds",
			"Duration of requests from their first byte to the last byte of their response; tunnels are left out.",
			"service", "direction", "route", "cluster", "http_request_method", "http_response_status_code", "grpc_status"),
		client: newFamily("http_client_request_duration_seconds",
			"Duration of tries at an endpoint; tunnels are left out.",
			"service", "direction", "route", "cluster", "http_request_method", "http_response_status_code", "grpc_status", "error_type", "flag"),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hopscope_config_reloads_total",
			Help: "Attempts to load a changed configuration, by result.",
		}, []string{"result"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hopscope_config_last_reload_successful",
			Help: "1 while the configuration that runs is the last one that was given, 0 after a reload that failed.",
		}),
		reloadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hopscope_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration that runs was loaded, in Unix time.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hopscope_build_info",
		Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{
			"version": o.Version, "revision": o.Revision, "goversion": runtime.Version(),
		},
	})
	build.Set(1)
	m.reloads.WithLabelValues("success")
	m.reloads.WithLabelValues("failure")
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, m.reloads, m.reloaded, m.reloadedAt,
		(*hopCollector)(m),
	)
	return m
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
		m.count(s, h)
	}
}

// Tick does nothing: numbers are never held back.
func (m *Metrics) Tick(time.Time) {}

// Close does nothing: the last numbers stay readable.
func (m *Metrics) Close(context.Context) error { return nil }
