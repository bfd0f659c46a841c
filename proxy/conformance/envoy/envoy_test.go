package envoy_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

var (
	tablesFlag   = flag.Int("envoy.tables", 200, "how many route tables are compared with Envoy")
	requestsFlag = flag.Int("envoy.requests", 50, "how many requests each of them gets")
	seedFlag     = flag.Uint64("envoy.seed", 1, "from what they are made")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// batch is how many tables one Envoy has: a thousand of them take it a while to read.
const batch = 100

// TestSameAsEnvoy: what Envoy does with requests, hopscope does with the same routes, but
// for the differences that stay.
func TestSameAsEnvoy(t *testing.T) {
	backends.Require(t, "envoy")
	endpoints := startEndpoints(t)
	counts := map[string]int{}
	for from := 0; from < *tablesFlag; from += batch {
		var tables []*table
		for i := from; i < min(from+batch, *tablesFlag); i++ {
			tables = append(tables, newTable(i, rand.New(rand.NewPCG(*seedFlag, uint64(i)))))
		}
		clusters := upstreams{endpoints, protocols[from/batch%len(protocols)]}
		envoy := backends.Envoy(t, theirs(tables, clusters))
		proxy := proxytest.StartConfig(t, ours(t, tables, clusters))
		for _, table := range tables {
			p := &pair{table: table, protocol: clusters.protocol, theirs: client{address: envoy.Addr(table.name())}, ours: client{address: proxy.Addr(table.name()).String()}}
			p.compare(t, counts)
			p.theirs.close()
			p.ours.close()
		}
		envoy.Kill()
		proxy.Stop()
	}
	t.Logf("requests: %v", counts)
	all := *tablesFlag * *requestsFlag
	for what, least := range map[string]int{"to a cluster": all / 4, "calls to a cluster": all / 40, "redirected": all / 40, "answered": all / 80, overHTTP1: all / 4, overHTTP2: all / 8, asCall: all / 8} {
		if counts[what] < least {
			t.Errorf("%d requests say too little: %s are %d", all, what, counts[what])
		}
	}
}

// protocols are those that the proxies speak with the endpoints, by turns.
var protocols = []string{"http1", "http2"}

// upstreams are the endpoints' addresses by the names of their clusters.
type upstreams struct {
	addresses map[string]string
	protocol  string // that endpoints are spoken to in, as clusters have it
}

// pair are both proxies with a table.
type pair struct {
	table        *table
	protocol     string // that endpoints are spoken to in
	theirs, ours client
}

func (p *pair) compare(t *testing.T, counts map[string]int) {
	t.Helper()
	r := rand.New(rand.NewPCG(*seedFlag, uint64(p.table.number)<<32|1))
	for range *requestsFlag {
		q := newRequest(p.table, r)
		want, got, err := p.ask(&q)
		if err != nil {
			t.Fatalf("table %d: %v\n%s", p.table.number, err, q.String())
		}
		counts[got.kind()]++
		if counts[q.form]++; q.form == asCall && got.Cluster != "" {
			counts["calls to a cluster"]++
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			continue
		}
		name, ok := p.explained(q, want, got)
		if counts[name]++; !ok {
			t.Errorf("table %d (-Envoy +hopscope):\n%s\n%s\n%s", p.table.number, q.String(), diff, p.table)
		}
	}
}

// ask asks both for the same.
func (p *pair) ask(q *request) (want, got outcome, err error) {
	if want, err = p.theirs.ask(q); err != nil {
		return want, got, fmt.Errorf("Envoy: %w", err)
	}
	if got, err = p.ours.ask(q); err != nil {
		return want, got, fmt.Errorf("hopscope: %w", err)
	}
	return want, got, nil
}

func (p *pair) explained(q request, want, got outcome) (string, bool) {
	c := comparison{q: q, want: want, got: got, route: p.table.route(max(got.Route, want.Route)), path: &p.table.path, protocol: p.protocol}
	c.alike = func(q request) bool {
		want, got, err := p.ask(&q)
		if err != nil || cmp.Equal(want, got) {
			return err == nil
		}
		_, ok := p.explained(q, want, got)
		return ok
	}
	return explained(&c)
}

// route is the route of a name, nil for none.
func (t *table) route(name string) *config.Route {
	for _, h := range t.hosts {
		for i := range h.routes {
			if h.routes[i].Name == name {
				return &h.routes[i]
			}
		}
	}
	return nil
}

// kind is what became of a request, in a word.
func (o *outcome) kind() string {
	switch {
	case o.Cluster != "":
		return "to a cluster"
	case o.Location != "":
		return "redirected"
	case o.Body != "":
		return "answered"
	}
	return "refused"
}

func (t *table) String() string {
	text := fmt.Sprintf("%+v\n", t.path)
	for _, h := range t.hosts {
		text += fmt.Sprintf("%q\n", h.domains)
		for i := range h.routes {
			r := &h.routes[i]
			text += fmt.Sprintf("  %s: %s\n", r.Name, r.Match.String())
			switch {
			case r.Redirect != nil:
				text += fmt.Sprintf("    %+v\n", *r.Redirect)
			case r.Rewrite != nil:
				text += fmt.Sprintf("    %+v\n", *r.Rewrite)
			case r.Answer != nil:
				text += fmt.Sprintf("    %+v\n", *r.Answer)
			}
			for _, c := range []*config.HeaderChanges{r.RequestHeaders, r.ResponseHeaders} {
				if c != nil {
					text += fmt.Sprintf("    set %q, add %q, remove %q\n", c.Set, c.Add, c.Remove)
				}
			}
			text += fmt.Sprintf("    %s %v %s\n", r.Cluster, r.Split, r.ClusterHeader)
		}
	}
	return text
}
