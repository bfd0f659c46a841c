package proxytest

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are the families of a scrape.
type Metrics map[string]*dto.MetricFamily

// Scrape flushes, and reads /metrics as Prometheus' text.
func (p *Proxy) Scrape() Metrics {
	p.T.Helper()
	p.FlushViews()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(p.Admin("/metrics", "text/plain")))
	if err != nil {
		p.T.Fatal(err)
	}
	return families
}

// Sum adds up the values, or the counts of histograms, of those metrics of a
// family that have the labels, given as name and value by turns.
func (m Metrics) Sum(family string, labels ...string) (total float64) {
	for _, metric := range m[family].GetMetric() {
		if !hasLabels(metric, labels) {
			continue
		}
		total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
	}
	return total
}

// Has reports whether a family has a metric with the labels.
func (m Metrics) Has(family string, labels ...string) bool {
	return slices.ContainsFunc(m[family].GetMetric(), func(metric *dto.Metric) bool { return hasLabels(metric, labels) })
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for pair := range slices.Chunk(labels, 2) {
		value := ""
		for _, l := range m.GetLabel() {
			if l.GetName() == pair[0] {
				value = l.GetValue()
			}
		}
		if value != pair[1] {
			return false
		}
	}
	return true
}

// MetricsText is /metrics as it comes, with nothing flushed before.
func (p *Proxy) MetricsText() string {
	_, text := p.Call("GET", "http://"+p.AdminAddr().String()+"/metrics", "")
	return text
}
