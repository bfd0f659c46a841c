package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Kind tells counters from gauges.
type Kind int

const (
	// Counter is a number that only grows; its name ends in "_total".
	Counter Kind = iota
	// Gauge is a number that rises and falls.
	Gauge
)

// Func registers a metric that is read at each scrape: collect calls emit once for each
// combination of label values, in the order of labels. Several goroutines may call
// collect at once. Func panics if the name is taken or invalid. A combination that is
// emitted twice, or with the wrong number of values, is left out of the scrape and
// logged. A counter that is 0 is left out: it has no series before its first event.
func (m *Metrics) Func(name, help string, kind Kind, labels []string,
	collect func(emit func(value float64, labelValues ...string))) {
	description := Description{name, "counter", help, labels}
	f := &funcCollector{
		desc:    prometheus.NewDesc(name, help, labels, nil),
		kind:    prometheus.CounterValue,
		collect: collect,
	}
	if kind == Gauge {
		f.kind, description.Type = prometheus.GaugeValue, "gauge"
	}
	m.mu.Lock()
	m.described = append(m.described, description)
	m.mu.Unlock()
	m.registry.MustRegister(f)
}

type funcCollector struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	collect func(emit func(value float64, labelValues ...string))
}

// Describe implements [prometheus.Collector].
func (f *funcCollector) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }

// Collect implements [prometheus.Collector].
func (f *funcCollector) Collect(ch chan<- prometheus.Metric) {
	f.collect(func(value float64, labelValues ...string) {
		if value == 0 && f.kind == prometheus.CounterValue {
			return
		}
		metric, err := prometheus.NewConstMetric(f.desc, f.kind, value, labelValues...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(f.desc, err)
		}
		ch <- metric
	})
}
