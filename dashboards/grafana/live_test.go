package grafana_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/attack"
	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// patience is how long anything may take on a machine that is busy.
const patience = 4 * time.Minute

// faults are what can go wrong in the world, and how it is brought about.
var faults = map[string]func(*world){
	"refused": func(w *world) { w.misbehave("bank", demo.Refuse) },
	"slow":    func(w *world) { w.misbehave("recommendations", demo.Dawdle) },
	"context": func(w *world) { w.misbehave("checkout", demo.ForgetContext) },
	"consul":  func(w *world) { w.consul.Kill() },
	"unknown": func(w *world) { // no Consul is where it is looked for; there are two proxies of the service
		for _, timeout := range []string{"1s", "2s"} {
			w.proxy("lonely "+timeout, `
service: lonely
consul: {address: '127.0.0.1:1'}
listeners: [{name: inbound, address: '127.0.0.1:0', routes: [{cluster: far, timeout: `+timeout+`}]}]
clusters: {far: {consul: {service: far}}}`)
		}
	},
	"empty":   func(w *world) { w.file("endpoints.yaml", "endpoints: []") },
	"drops":   func(w *world) { w.drop() },
	"reload":  func(w *world) { w.named("narrow").Refused(fmt.Errorf("a mistake")) },
	"guessed": func(w *world) { w.guess() },
	"expires": func(w *world) { w.certificate(proxytest.NewAuthority(w.t), 14*24*time.Hour) },
	"spoiled": func(w *world) { w.file("tls.pem", "no certificate") },
	"narrow": func(w *world) {
		w.often(24, 250*time.Millisecond, func() { w.get(w.url("narrow", "inbound", "/late"), nil) })
		w.often(4, 50*time.Millisecond, func() { w.hold(w.address("narrow", "small")) }) // 4 are all that there may be
	},
	"memory": func(w *world) {
		w.running.Go(func() {
			_ = attack.HeavyHeads(w.background, w.address("poor", "inbound"), 200, 60000, new(attack.Tally))
		})
	},
	"panic":   func(w *world) { w.get(w.url("panicky", "inbound", "/panic"), nil) },
	"restart": func(w *world) { w.child.Kill(); w.startChild() },
	"short": func(w *world) {
		w.often(1, 100*time.Millisecond, func() { _, _ = attack.Streams(w.background, w.childIngress(), "/never", 100) })
	},
	"killed": func(w *world) { w.child.Kill() },
}

// stages are the faults in the order in which they are brought about. Those of a stage are on
// together, and stay on.
var stages = [][]string{
	{"refused", "slow", "context", "unknown", "empty", "drops", "reload", "guessed", "expires", "narrow", "memory", "panic", "restart"},
	{"consul", "spoiled", "short"},
	{"killed"},
}

// fires says which fault makes an alert fire, and what has to be changed of its expression:
// the test has seconds where the alert has minutes or days.
var fires = map[string]struct {
	fault  string
	change []string // pairs of old and new
}{
	"HopscopeErrorBudgetBurn":             {"refused", nil},
	"HopscopeLatencyBudgetBurn":           {"slow", nil},
	"HopscopeOneCulprit":                  {"refused", nil},
	"HopscopeNoEndpoint":                  {"empty", nil},
	"HopscopePanicRouting":                {"refused", nil},
	"HopscopeEndpointsEjected":            {"refused", nil},
	"HopscopeEndpointsFlapping":           {"refused", []string{"> 5", "> 1"}},
	"HopscopeDiscoveryStale":              {"consul", []string{"> 300", "> 1"}},
	"HopscopeDiscoveryUnknown":            {"unknown", nil},
	"HopscopeTelemetryDropped":            {"drops", nil},
	"HopscopeLostContext":                 {"context", nil},
	"HopscopeReloadFailed":                {"reload", nil},
	"HopscopeConfigDiffers":               {"unknown", nil},
	"HopscopeCertificateExpires info":     {"expires", nil},
	"HopscopeCertificateExpires warning":  {"expires", []string{"time()", "(time() + 86400 * 10)"}},
	"HopscopeCertificateExpires critical": {"expires", []string{"time()", "(time() + 86400 * 13.5)"}},
	"HopscopeCertificateExpired":          {"expires", []string{"time()", "(time() + 86400 * 15)"}},
	"HopscopeCertificateRejected":         {"spoiled", nil},
	"HopscopeAdminRefused":                {"guessed", nil},
	"HopscopeCircuitBreakerNear":          {"narrow", nil},
	"HopscopeCircuitBreakerOpen":          {"narrow", nil},
	"HopscopeConnectionsNear":             {"narrow", nil},
	"HopscopeDescriptorsNear":             {"short", []string{"> 0.8", "> 0.3"}},
	"HopscopeMemoryNear":                  {"memory", []string{"> 0.8", "> 0.5"}},
	"HopscopeOverloaded":                  {"memory", nil},
	"HopscopeShortage":                    {"short", nil},
	"HopscopeProxyDown":                   {"killed", nil},
	"HopscopeProxyRestarting":             {"restart", []string{"> 2", "> 0"}},
	"HopscopeNotReady":                    {"unknown", nil},
	"HopscopeProxyPanic":                  {"panic", nil},
	"HopscopeNoMetrics":                   {"", nil}, // before there are any
}

// comesWith says which fault gives a metric its first series, for those that a mesh without
// faults has not. A metric that is not here has data on a good day.
var comesWith = map[string]string{
	"hopscope_admin_refused_total":                    "guessed",
	"hopscope_blame_total":                            "refused",
	"culprit:hopscope_blame:rate5m":                   "refused",
	"culprit:hopscope_blame:rate1h":                   "refused",
	"culprit:hopscope_blame:share5m":                  "refused",
	"culprit:hopscope_blame:share1h":                  "refused",
	"hopscope_circuit_breaker_refused_total":          "narrow",
	"hopscope_connection_failures_total":              "guessed",
	"hopscope_downstream_connections_dismissed_total": "narrow",
	"hopscope_failures_total":                         "refused",
	"hopscope_lost_context_calls_total":               "context",
	"hopscope_outlier_events_total":                   "refused",
	"hopscope_overload_refused_total":                 "memory",
	"hopscope_panics_total":                           "panic",
	"hopscope_picks_total":                            "refused",
	"hopscope_retries_total":                          "refused",
	"hopscope_shortages_total":                        "short",
	"hopscope_slow_requests_active":                   "slow",
	"hopscope_telemetry_dropped_total":                "drops",
	"hopscope_tls_reloads_total":                      "expires",
}

// query is an expression that somebody sees the result of.
type query struct {
	where string // for people
	expr  string
	fault string // that gives it data, "" if it has some on a good day
	// legend are the labels that it may return, nil for any.
	legend []string
}

// answer is the result of an instant query.
type answer struct {
	Data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
}

// ask evaluates an expression now.
func (w *world) ask(expr string) (a answer, err error) {
	err = backends.Get(w.prometheus.URL+"/api/v1/query?query="+url.QueryEscape(expr), &a)
	return a, err
}

// TestEveryQueryHasData runs every query of every dashboard, rule and alert in the real
// Prometheus. On a good day no alert fires. Each returns data while its fault is on.
func TestEveryQueryHasData(t *testing.T) {
	w := newWorld(t)
	alerts, rules := rulesOf(t, read(t, "alerts.yml")), rulesOf(t, read(t, "rules.yml"))
	queries := panels(t)
	for _, r := range rules {
		queries = append(queries, query{where: "rules.yml: " + r.Record, expr: r.Record}, query{where: "rules.yml: expression of " + r.Record, expr: r.Expr})
	}
	for i, q := range queries {
		queries[i].fault = faultOf(q.expr)
	}
	w.await("before there are metrics, an alert says so", func() error { return w.hasData(query{where: "HopscopeNoMetrics", expr: "absent(hopscope_build_info)"}) })

	w.startMesh()
	w.startOthers()
	w.running.Go(func() { w.busy() })
	for _, q := range queries {
		if q.fault == "" {
			w.await("on a good day", func() error { return w.hasData(q) })
		}
	}
	for _, r := range alerts {
		if r.Alert == "HopscopeLatencyBudgetBurn" {
			continue // a machine that is busy is slow
		}
		if got, err := w.ask(r.Expr); err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		} else if len(got.Data.Result) > 0 {
			t.Errorf("%s fires on a good day: %v", r.Alert, got.Data.Result)
		}
	}
	for _, names := range stages {
		for _, name := range names {
			faults[name](w)
		}
		for _, q := range append(slices.Clone(queries), expected(t, alerts)...) {
			if slices.Contains(names, q.fault) {
				w.await("with the fault "+q.fault, func() error { return w.hasData(q) })
			}
		}
	}
}

// await polls until there is no error.
func (w *world) await(when string, ask func() error) {
	w.t.Helper()
	backends.Await(w.t, patience, func() error {
		if err := ask(); err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		return nil
	})
}

// hasData reports why a query has no data, or has other labels than its legend has.
func (w *world) hasData(q query) error {
	got, err := w.ask(q.expr)
	if err != nil {
		return fmt.Errorf("%s: %w", q.where, err)
	}
	if len(got.Data.Result) == 0 {
		return fmt.Errorf("%s has no data: %s", q.where, q.expr)
	}
	if q.legend == nil {
		return nil
	}
	for _, series := range got.Data.Result {
		for label, value := range series.Metric {
			if value != "" && label != "__name__" && !slices.Contains(q.legend, label) {
				return fmt.Errorf("%s: the legend does not show the label %s of %v: %s", q.where, label, series.Metric, q.expr)
			}
		}
	}
	return nil
}

// expected are the alerts as queries, each with the fault that makes it fire.
func expected(t *testing.T, alerts []rule) (all []query) {
	t.Helper()
	known := map[string]bool{}
	for _, r := range alerts {
		name := r.Alert
		if _, ok := fires[name]; !ok {
			name += " " + r.Labels["severity"]
		}
		f, ok := fires[name]
		if !ok {
			t.Errorf("which fault makes %s fire?", name)
			continue
		}
		known[name] = true
		q := query{where: "alerts.yml: " + r.Alert + " " + r.Labels["long_window"], expr: r.Expr, fault: f.fault}
		for pair := range slices.Chunk(f.change, 2) {
			if !strings.Contains(q.expr, pair[0]) {
				t.Errorf("%s has no %q", name, pair[0])
			}
			q.expr = strings.ReplaceAll(q.expr, pair[0], pair[1])
		}
		all = append(all, q)
	}
	for name := range fires {
		if !known[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
	return all
}

// faultOf is the fault that gives an expression data, the latest of those that its metrics
// come with.
func faultOf(expr string) (fault string) {
	stage := -1
	for _, name := range metricName.FindAllString(expr, -1) {
		f := comesWith[name]
		at := slices.IndexFunc(stages, func(s []string) bool { return slices.Contains(s, f) })
		if at > stage {
			fault, stage = f, at
		}
	}
	return fault
}

// misbehave has an application of the mesh misbehave.
func (w *world) misbehave(service string, trouble demo.Trouble) {
	w.t.Helper()
	if err := w.apps[service].Misbehave(w.background, trouble); err != nil {
		w.t.Fatal(err)
	}
}

// url is where a listener of a proxy is.
func (w *world) url(proxy, listener, path string) string {
	return "http://" + w.address(proxy, listener) + path
}

// address is where a listener of a proxy is, host:port.
func (w *world) address(proxy, listener string) string { return w.named(proxy).Addr(listener).String() }

// named is a proxy by its name.
func (w *world) named(proxy string) *snapshot.Proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proxies[proxy]
}

// drop makes traffic for the proxy that can write neither log nor spans.
func (w *world) drop() {
	w.often(1, 100*time.Millisecond, func() { w.get(w.url("dropping", "inbound", "/"), nil) })
}

// guess shows an admin API a token that nobody has, and speaks no TLS where it is wanted.
func (w *world) guess() {
	w.often(1, 200*time.Millisecond, func() {
		r, err := http.NewRequestWithContext(w.background, http.MethodGet, "http://"+w.named("secure").AdminAddr().String()+"/clusters", nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer none-of-those-that-there-are")
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
		w.get(w.url("secure", "https", "/"), nil)
	})
}

// hold opens a connection, and waits until the other side closes it or the test ends.
func (w *world) hold(address string) {
	c, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	stop := context.AfterFunc(w.background, func() { c.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, c)
}

// childIngress is where the child takes requests.
func (w *world) childIngress() string {
	m := regexp.MustCompile(`msg=listening listener=inbound address=(\S+)`).FindStringSubmatch(w.child.Output())
	if m == nil {
		w.t.Fatalf("the child listens nowhere:\n%s", w.child.Output())
	}
	return m[1]
}

// busy makes traffic of kinds that the mesh has not: gRPC, content, errors of clients.
func (w *world) busy() {
	calls := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}, Timeout: 10 * time.Second}
	calls.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	defer calls.CloseIdleConnections()
	w.often(1, 200*time.Millisecond, func() {
		w.get(w.url("panicky", "inbound", "/upload"), make([]byte, 1000))
		w.call(calls, w.url("panicky", "inbound", "/shop.Cart/Add"))
		w.call(calls, w.url("panicky", "outbound", "/shop.Cart/Add"))
	})
}

// call makes a gRPC call.
func (w *world) call(client *http.Client, url string) {
	r, err := http.NewRequestWithContext(w.background, http.MethodPost, url, strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	if resp, err := client.Do(r); err == nil {
		resp.Body.Close()
	}
}
