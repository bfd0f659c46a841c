package clitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// calls are who calls whom in the mesh of an incident: ten services, callers first.
var calls = []struct {
	service string
	callees []string
}{
	{"web", []string{"orders", "ads"}},
	{"orders", []string{"stock", "payments"}},
	{"ads", []string{"users"}},
	{"stock", []string{"prices"}},
	{"payments", []string{"bank", "fraud"}},
	{"users", []string{"geo"}},
	{"prices", nil}, {"bank", nil}, {"fraud", nil}, {"geo", nil},
}

// incident is a mesh of ten services, each an application with a proxy that is a process.
// Endpoints and members are in Consul, spans go to Jaeger.
type incident struct {
	shop
	jaeger *backends.JaegerServer
	faults sync.Map // what the application of a service does: "error" or "slow"
}

func startIncident(t *testing.T) *incident {
	t.Helper()
	i := &incident{
		shop: shop{
			t: t, consul: backends.Consul(t, backends.ConsulOptions{}), proxies: map[string]*process{},
			admin: map[string]string{}, token: file(t, "mesh.token", "a-token-of-the-mesh-0123456789"),
		},
		jaeger: backends.Jaeger(t),
	}
	for _, c := range slices.Backward(calls) {
		i.services = append(i.services, c.service)
		i.startService(c.service, c.callees)
	}
	slices.Reverse(i.services)
	return i
}

// startService runs an application and its proxy, and registers the proxy as the service.
func (i *incident) startService(service string, callees []string) {
	i.t.Helper()
	var egress atomic.Pointer[http.Client]
	app := serve(i.t, func(w http.ResponseWriter, r *http.Request) {
		switch fault, _ := i.faults.Load(service); fault {
		case "error":
			w.WriteHeader(http.StatusInternalServerError)
			return
		case "slow":
			time.Sleep(2 * time.Second)
		}
		for _, callee := range callees {
			if !called(egress.Load(), r, callee) {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
		}
		io.WriteString(w, service)
	})
	config := fmt.Sprintf("service: %s\nadmin: {address: \"127.0.0.1:0\"}\nconsul: {address: %q}\nmesh: {name: shop, instance: %[1]s-1, consul: {}, token_file: %[3]q}\n"+
		"telemetry: {access_log: {path: \"off\"}, slow_threshold: 1s, traces: {sample: 1, otlp: {endpoint: %[4]q}}}\n"+
		"listeners:\n- {name: in, address: \"127.0.0.1:0\", routes: [{cluster: app}]}\n", service, i.consul.Address, i.token, i.jaeger.OTLPgRPC)
	clusters := "clusters:\n  app: {endpoints: [" + app + "]}\n"
	if len(callees) > 0 {
		config += "- name: out\n  address: 127.0.0.1:0\n  direction: outbound\n  routes:\n"
	}
	for _, callee := range callees {
		config += fmt.Sprintf("  - {match: {hosts: [%s]}, cluster: %[1]s}\n", callee)
		clusters += fmt.Sprintf("  %s: {consul: {service: %[1]s}}\n", callee)
	}
	p := start(i.t, "run", "-c", file(i.t, service+".yaml", config+clusters))
	i.proxies[service], i.admin[service] = p, host(p.admin())
	at, port, _ := net.SplitHostPort(p.address("in"))
	number, err := strconv.Atoi(port)
	if err != nil {
		i.t.Fatal(err)
	}
	i.consul.Register(i.t, &api.AgentServiceRegistration{ID: service, Name: service, Address: at, Port: number})
	if len(callees) > 0 {
		client := newClient(i.t)
		client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: p.address("out")})
		egress.Store(client)
	}
}

// called calls a service as part of a request, and reports whether that went well.
func called(client *http.Client, of *http.Request, callee string) bool {
	call, _ := http.NewRequestWithContext(of.Context(), http.MethodGet, "http://"+callee+"/", nil)
	call.Header.Set("traceparent", of.Header.Get("traceparent"))
	resp, err := client.Do(call)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode < 500
}

// request sends a request to web and returns its trace, and its status.
func (i *incident) request() (trace string, status int) {
	i.t.Helper()
	id, parent := proxytest.NewTrace()
	req, err := http.NewRequest(http.MethodGet, "http://"+i.proxies["web"].address("in")+"/", nil)
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("traceparent", strings.TrimSpace(strings.TrimPrefix(parent, "traceparent:")))
	resp, err := newClient(i.t).Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	proxytest.Finish(resp)
	return id.String(), resp.StatusCode
}

// seen is what a command prints of a trace, in JSON.
type seen struct {
	Failed, Slow     bool
	Culprit, Slowest *struct{ Service, Part, Kind, Edge string }
	Hops             []any
	Peers            []struct{ Address, Service, Error string }
}

// ways are the command lines that lead to all proxies.
func (i *incident) ways() map[string][]string {
	var all []string
	for _, service := range i.services {
		all = append(all, i.admin[service])
	}
	return map[string][]string{
		"by way of web": {"--admin", i.admin["web"]}, "by way of fraud": {"--admin", i.admin["fraud"]}, "each itself": {"--peers", strings.Join(all, ",")},
	}
}

// run runs a command that prints JSON, with a token.
func (i *incident) run(into any, command string, args ...string) (code int) {
	i.t.Helper()
	stdout, stderr, code := hopscope(i.t, append(append(strings.Fields(command), "--json", "--timeout=1m", "--token-file", i.token), args...)...)
	if err := json.Unmarshal([]byte(stdout), into); err != nil || stderr != "" {
		i.t.Fatalf("%s: exit code %d, standard error %q, JSON %v:\n%s", command, code, stderr, err, stdout)
	}
	return code
}

// whole waits until the proxies have all hops of a trace, and returns it as each way shows it.
func (i *incident) whole(trace string, hops int) map[string]seen {
	i.t.Helper()
	all := map[string]seen{}
	for name, way := range i.ways() {
		proxytest.Eventually(i.t, fmt.Sprintf("%d hops of %s %s", hops, trace, name), func() bool {
			var s seen
			code := i.run(&s, "trace "+trace, way...)
			all[name] = s
			return len(s.Hops) == hops && (code == 3) == s.Failed
		})
	}
	return all
}

// exported waits until Jaeger has a trace whole: every hop, and every parent but the client's.
func (i *incident) exported(trace string, spans int) {
	i.t.Helper()
	backends.Await(i.t, proxytest.Patience, func() error {
		var answer struct {
			Data []struct {
				Spans []struct {
					SpanID     string
					References []struct{ SpanID string }
				}
			}
		}
		if err := backends.Get(i.jaeger.Query+"/api/traces/"+trace, &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) != spans {
			return fmt.Errorf("not one trace of %d spans: %+v", spans, answer.Data)
		}
		known, roots := map[string]bool{}, 0
		for _, s := range answer.Data[0].Spans {
			known[s.SpanID] = true
		}
		for _, s := range answer.Data[0].Spans {
			if len(s.References) == 0 || !known[s.References[0].SpanID] {
				roots++
			}
		}
		if roots != 1 {
			return fmt.Errorf("%d spans have no parent: %+v", roots, answer.Data)
		}
		return nil
	})
}

// TestIncident: faults come one after the other to a mesh of ten services, and each command
// says the right thing, by way of any proxy.
func TestIncident(t *testing.T) {
	t.Parallel()
	i := startIncident(t)
	for _, service := range []string{"web", "fraud"} {
		i.knows(service, i.services...)
	}
	proxytest.Eventually(t, "a request that goes well", func() bool { _, status := i.request(); return status == 200 })

	t.Log("all is well")
	well, _ := i.request()
	for name, s := range i.whole(well, 19) {
		if s.Failed || s.Culprit != nil || len(s.Peers) != 10 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	i.exported(well, 19)

	t.Log("the application of bank answers 500")
	tail := start(t, "tail", "--failed", "--json", "--admin", i.admin["ads"], "--token-file", i.token)
	i.faults.Store("bank", "error")
	bank, _ := i.request()
	isBank := func() {
		t.Helper()
		for name, s := range i.whole(bank, 11) {
			if c := s.Culprit; c == nil || c.Service != "bank" || c.Part != "application" || c.Kind != "error_response" || c.Edge != "bank" {
				t.Errorf("%s: culprit %+v", name, c)
			}
		}
	}
	isBank()
	i.exported(bank, 11)
	i.lists(bank, "--failed", "bank")
	i.blames("bank", "bank")
	proxytest.Eventually(t, "a failure of bank in tail", func() bool {
		i.request()
		return strings.Contains(tail.stdout.String(), `"edge":"bank"`)
	})
	if tail.signal(os.Interrupt); tail.exit() != 0 {
		t.Errorf("tail: exit code %d", tail.exit())
	}
	var table struct {
		Services []struct {
			Service string
			Failing float64 `json:"failed_per_second"`
		}
	}
	proxytest.Eventually(t, "bank in top", func() bool {
		p := newProcess(t, "top", "--once", "--interval=1s", "--json", "--timeout=1m", "--token-file", i.token, "--admin", i.admin["geo"])
		p.cmd.Stdout = &p.stdout
		for p.begin(); p.running(); {
			i.request()
		}
		if err := json.Unmarshal([]byte(p.stdout.String()), &table); err != nil {
			t.Fatalf("%v:\n%s", err, p.stdout.String())
		}
		fails := map[string]bool{}
		for _, s := range table.Services {
			fails[s.Service] = s.Failing > 0
		}
		return fails["bank"] && fails["web"] && !fails["fraud"] && !fails["stock"]
	})
	i.faults.Delete("bank")

	t.Log("the application of prices is slow")
	i.faults.Store("prices", "slow")
	slow, _ := i.request()
	i.faults.Delete("prices")
	for name, s := range i.whole(slow, 19) {
		if c := s.Slowest; s.Failed || !s.Slow || c == nil || c.Service != "prices" || c.Part != "application" {
			t.Errorf("%s: slowest %+v", name, c)
		}
	}
	i.lists(slow, "--slow", "")

	t.Log("the proxy of geo is killed")
	i.proxies["geo"].signal(syscall.SIGKILL)
	i.proxies["geo"].exit()
	geo, _ := i.request()
	for name, s := range i.whole(geo, 18) {
		died := []string{"connect_refused", "upstream_reset", "upstream_closed"} // on a connection of before
		if c := s.Culprit; c == nil || c.Service != "geo" || c.Part != "proxy" || !slices.Contains(died, c.Kind) || c.Edge != "users -> geo" {
			t.Errorf("%s: culprit %+v", name, c)
		}
		var silent []string
		for _, p := range s.Peers {
			if p.Error != "" {
				silent = append(silent, p.Address)
			}
		}
		if !slices.Equal(silent, []string{i.admin["geo"]}) {
			t.Errorf("%s: these did not answer: %q, want that of geo, %s", name, silent, i.admin["geo"])
		}
	}
	i.exported(geo, 18)
	i.lists(geo, "--failed", "users -> geo")
	i.blames("geo", "users -> geo")
	isBank() // what happened before is still known

	t.Log("the token is wrong")
	wrong := file(t, "wrong.token", "not-the-token-of-this-mesh-0123456789")
	for _, command := range []string{"trace " + bank, "traces --failed", "why", "top --once", "tail"} {
		for name, way := range i.ways() {
			stdout, stderr, code := hopscope(t, append(append(strings.Fields(command), "--timeout=1m", "--token-file", wrong), way...)...)
			if code != 1 || !strings.Contains(stdout+stderr, "401") || strings.Contains(stdout, "bank:") {
				t.Errorf("%s %s: exit code %d, %s\n%s", command, name, code, stderr, stdout)
			}
		}
	}
}

// lists checks that hopscope traces has a trace, by way of any proxy, with its culprit if it
// has one.
func (i *incident) lists(trace, flag, edge string) {
	i.t.Helper()
	for name, way := range i.ways() {
		var list struct {
			Traces []struct {
				TraceID string `json:"trace_id"`
				Culprit *struct{ Edge string }
			}
		}
		i.run(&list, "traces --limit=1000 "+flag, way...)
		found := false
		for _, s := range list.Traces {
			found = found || s.TraceID == trace && (s.Culprit == nil && edge == "" || s.Culprit != nil && s.Culprit.Edge == edge)
		}
		if !found {
			i.t.Errorf("traces %s %s: no %s by %q in %+v", flag, name, trace, edge, list.Traces)
		}
	}
}

// blames checks that hopscope why names a culprit, by way of any proxy, and says of its
// callers that they are not at fault.
func (i *incident) blames(service, edge string) {
	i.t.Helper()
	for name, way := range i.ways() {
		var r reasons
		code := i.run(&r, "why --since=1h", way...)
		found := false
		for _, c := range r.Causes {
			found = found || c.Culprit.Service == service && c.Culprit.Edge == edge
		}
		if code != 3 || !found || !slices.Contains(r.NotAtFault, "web") || slices.Contains(r.NotAtFault, service) {
			i.t.Errorf("why %s: exit code %d, no %s: %+v", name, code, edge, r)
		}
	}
}
