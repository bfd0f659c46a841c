package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// family is the metrics of one name, by label values. It is guarded by
// Metrics.mu.
type family struct {
	Description
	desc     *prometheus.Desc
	children map[string]child
}

// child is one metric with its label values: a counter or a histogram.
type child interface {
	// read returns the numbers as they are now, sharing none of them.
	read() *dto.Metric
}

func newFamily(kind, name, help string, labels ...string) *family {
	return &family{
		Description: Description{name, kind, help, labels},
		desc:        prometheus.NewDesc(name, help, labels, nil),
		children:    map[string]child{},
	}
}

// counter returns the counter with these label values.
func (f *family) counter(values ...string) *counter {
	key := keyOf(values)
	c, ok := f.children[key].(*counter)
	if !ok {
		c = &counter{identity: f.identity(values)}
		f.children[key] = c
	}
	return c
}

// histogram returns the histogram with these label values.
func (f *family) histogram(native bool, values ...string) *histogram {
	key := keyOf(values)
	h, ok := f.children[key].(*histogram)
	if !ok {
		h = &histogram{identity: f.identity(values)}
		if native {
			h.native = newNative()
		}
		f.children[key] = h
	}
	return h
}

// keyOf makes values valid as labels and joins them by a byte that none of them then
// contains.
func keyOf(values []string) string {
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "\uFFFD")
	}
	return strings.Join(values, "\xff")
}

func (f *family) identity(values []string) identity {
	return identity{
		labels:  prometheus.MakeLabelPairs(f.desc, values),
		created: timestamppb.New(time.Now()),
	}
}

// retain forgets the children that are not used.
func (f *family) retain(used map[child]bool) {
	for key, c := range f.children {
		if !used[c] {
			delete(f.children, key)
		}
	}
}

// identity is what stays the same about a child.
type identity struct {
	labels  []*dto.LabelPair
	created *timestamppb.Timestamp
}

// counter only grows.
type counter struct {
	n uint64
	identity
	example exemplar // the latest; none in most families
}

func (c *counter) read() *dto.Metric {
	n := float64(c.n)
	out := &dto.Counter{Value: &n, CreatedTimestamp: c.created}
	if c.example.at != 0 {
		out.Exemplar = c.example.read()
	}
	return &dto.Metric{Label: c.labels, Counter: out}
}

// hopCollector is Metrics as a [prometheus.Collector].
type hopCollector Metrics

// Describe implements [prometheus.Collector].
func (c *hopCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.families.all() {
		ch <- f.desc
	}
}

// Collect implements [prometheus.Collector]. It locks for one family at a time, so that a
// large scrape delays recording only briefly.
func (c *hopCollector) Collect(ch chan<- prometheus.Metric) {
	for _, f := range c.families.all() {
		for _, r := range c.read(f) {
			ch <- r
		}
	}
}

func (c *hopCollector) read(f *family) []reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]reading, 0, len(f.children))
	for _, child := range f.children {
		all = append(all, reading{f.desc, child.read()})
	}
	return all
}

// reading is a child's numbers at the moment of a scrape.
type reading struct {
	desc   *prometheus.Desc
	metric *dto.Metric
}

// Desc implements [prometheus.Metric].
func (r reading) Desc() *prometheus.Desc { return r.desc }

// Write implements [prometheus.Metric].
func (r reading) Write(out *dto.Metric) error {
	out.Label, out.Counter, out.Histogram = r.metric.Label, r.metric.Counter, r.metric.Histogram
	return nil
}
