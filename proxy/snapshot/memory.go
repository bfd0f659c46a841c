package snapshot

import (
	"encoding/json"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/cache"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
)

// memory is what was known before the proxy started, by the process that it takes over
// from or by the one that wrote the cache. Nil is nothing.
type memory struct {
	// handed is what that process said, and kept what the cache holds.
	handed, kept *cache.Contents
	clusters     map[string]cluster.Memory
}

// handedOver is what a process tells the one that takes over.
type handedOver struct {
	Discovery json.RawMessage           `json:"discovery"` // as a cache has it
	Clusters  map[string]cluster.Memory `json:"clusters"`
}

// recollect reads what was known before. The proxy starts even if that can't be read.
func (p *Proxy) recollect(d *config.Discovery) {
	m := &memory{handed: &cache.Contents{}, kept: &cache.Contents{}}
	if data := p.options.Memory; data != nil {
		var h handedOver
		err := json.Unmarshal(data, &h)
		if err == nil {
			m.handed, err = cache.Decode(h.Discovery)
		}
		if err != nil {
			p.options.Log.Warn("what the process before knew of endpoints is not understood, and is asked for anew", "error", err)
			m.handed = &cache.Contents{}
		}
		m.clusters = h.Clusters
	}
	if d.Cache != "" {
		c, old, err := cache.Read(d.Cache, d.MaxAge, time.Now())
		switch {
		case err != nil:
			p.options.Log.Warn("the cache of discovery is of no use; sources are asked for everything", "path", d.Cache, "error", err)
		case old > 0:
			p.options.Log.Warn("the cache of discovery has answers that are too old, which are not used", "path", d.Cache, "max_age", d.MaxAge, "too_old", old, "used", c.Len())
		}
		if err == nil {
			m.kept = c
		}
	}
	p.memory = m
}

// endpoints returns the known answer to a question, nil for none.
func (m *memory) endpoints(question string) *discovery.Known {
	if m == nil {
		return nil
	}
	for _, c := range []*cache.Contents{m.handed, m.kept} {
		if k, ok := c.Sources[question]; ok {
			return &k
		}
	}
	return nil
}

// catalog returns the known answer to a question about the catalog, nil for none.
func (m *memory) catalog(question string) *cache.Catalog {
	if m == nil {
		return nil
	}
	for _, c := range []*cache.Contents{m.handed, m.kept} {
		if k, ok := c.Catalogs[question]; ok {
			return &k
		}
	}
	return nil
}

// cluster returns what was known of a cluster's endpoints, nil for nothing.
func (m *memory) cluster(name string) *cluster.Memory {
	if m == nil {
		return nil
	}
	if known, ok := m.clusters[name]; ok {
		return &known
	}
	return nil
}

// Memory returns what this proxy knows, for [Options.Memory] of the process that takes
// over.
func (p *Proxy) Memory() ([]byte, error) {
	g := p.current.Load()
	known, err := cache.Encode(g.remembered(), time.Now())
	if err != nil {
		return nil, err
	}
	h := handedOver{Discovery: known, Clusters: map[string]cluster.Memory{}}
	for _, c := range g.allClusters() {
		if m := c.Memory(); len(m.Endpoints) > 0 {
			h.Clusters[c.Name] = m
		}
	}
	return json.Marshal(h)
}

// remembered returns the last answers of a generation's sources.
func (g *generation) remembered() *cache.Contents {
	c := &cache.Contents{Sources: map[string]discovery.Known{}, Catalogs: map[string]cache.Catalog{}}
	for question, source := range g.sources() {
		if k, ok := source.Known(); ok {
			c.Sources[question] = k
		}
	}
	if g.catalog != nil {
		f := g.catalog.follower
		if k := f.remembered(); k != nil {
			c.Catalogs[resources.CatalogQuestion(&f.asked)] = *k
		}
	}
	return c
}

// sources are the clusters that ask a source, by what they ask.
func (g *generation) sources() map[string]*cluster.Cluster {
	g.applying.Lock()
	defer g.applying.Unlock()
	return g.asking()
}

// keeper writes the cache.
type keeper struct {
	mu      sync.Mutex
	seed    maphash.Seed
	written uint64 // the mark of what was written last
	at      time.Time
	failing bool // the log has been told

	successes, failures atomic.Uint64
}

// writeEvery is how often to look whether the cache has to be written. If nothing
// changes it is written so many times (renewals) within its maximum age, so that answers
// that still hold do not grow old.
const (
	writeEvery = time.Second
	renewals   = 24
)

// remember keeps the cache up to date until the proxy ends.
func (p *Proxy) remember() {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.context.Done():
			return
		case <-ticker.C:
			p.write()
		}
	}
}

// write writes the cache if something has changed.
func (p *Proxy) write() {
	k := &p.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	g := p.current.Load()
	d := &g.config.Discovery
	if d.Cache == "" || !p.remembering.Load() {
		return
	}
	now, mark := time.Now(), k.mark(g)
	if mark == k.written && now.Sub(k.at) < d.MaxAge/renewals {
		return
	}
	err := cache.Write(d.Cache, g.remembered(), now)
	k.written, k.at = mark, now
	if err == nil {
		k.successes.Add(1)
		k.failing = false
		return
	}
	k.failures.Add(1)
	k.written = 0 // it is tried again
	if !k.failing {
		k.failing = true
		p.options.Log.Warn("the cache of discovery can't be written; it is tried again", "path", d.Cache, "error", err)
	}
}

// mark is a number that changes with what is known.
func (k *keeper) mark(g *generation) uint64 {
	if k.seed == (maphash.Seed{}) {
		k.seed = maphash.MakeSeed()
	}
	type state struct {
		question     string
		updates      uint64
		fresh, known bool
	}
	sum := maphash.Comparable(k.seed, state{question: g.config.Discovery.Cache}) | 1
	for question, c := range g.sources() {
		s := c.SourceStatus()
		sum += maphash.Comparable(k.seed, state{question, s.Updates, !s.Stale, s.Known})
	}
	if g.catalog != nil {
		f := g.catalog.follower
		s := f.status()
		sum += maphash.Comparable(k.seed, state{resources.CatalogQuestion(&f.asked), s.Updates + s.Errors, !s.Stale, s.Known})
	}
	return sum
}
