package consul_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

// keep runs a registrar until it ends by itself or the test does.
func keep(t *testing.T, client *consul.Client, r consul.Registration) (*consul.Registrar, *record[reported], <-chan struct{}) {
	t.Helper()
	registrar, err := client.Register(r)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	reports := watch(t, func(ctx context.Context, add func(reported)) {
		defer close(ended)
		registrar.Run(ctx, func(did consul.Outcome, err error) { add(reported{did, err}) })
	})
	return registrar, reports, ended
}

// reported is what a registrar reports.
type reported struct {
	did consul.Outcome
	err error
}

func works(r reported) bool { return r.err == nil }

func fails(says string) func(reported) bool {
	return func(r reported) bool { return r.err != nil && strings.Contains(r.err.Error(), says) }
}

// The check is the agent's own, of the application: hopscope only asks for it.
func TestRegistersAnApplicationAndItsSidecar(t *testing.T) {
	var broken atomic.Bool
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() || r.URL.Path != "/health" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(application.Close)
	server, client := agent(t)
	registrar, reports, ended := keep(t, client, consul.Registration{
		Name: "payments", Address: "127.0.0.1", Port: 8080, Tags: []string{"v2"}, Meta: map[string]string{"a": "b"}, PassingWeight: 5,
		Checks:  []consul.Check{{HTTP: application.URL + "/health", Interval: 100 * time.Millisecond}},
		Sidecar: &consul.Sidecar{Address: "127.0.0.1", Port: 9090},
	})
	reports.await(t, "registered", works)
	updates := follow(t, client, consul.Options{Service: "payments"})
	const up = "127.0.0.1:8080 healthy"
	u := updates.await(t, "up", is(up))
	if e := u.Endpoints[0]; e.Weight != 5 || e.Metadata["a"] != "b" || e.Metadata[consul.MetadataTags] != "v2" {
		t.Errorf("registered as %+v", e)
	}
	sidecar := follow(t, client, consul.Options{Service: "payments-sidecar-proxy"})
	sidecar.await(t, "up", is("127.0.0.1:9090 healthy"))
	kind, _, err := server.API(t).Catalog().Service("payments-sidecar-proxy", "", nil)
	if err != nil || len(kind) != 1 || kind[0].ServiceProxy == nil || kind[0].ServiceProxy.DestinationServiceName != "payments" {
		t.Errorf("the sidecar is registered as %+v, %v", kind, err)
	}

	broken.Store(true)
	updates.await(t, "down", is("127.0.0.1:8080 unhealthy"))
	broken.Store(false)
	updates.await(t, "up again", is(up))

	// The agent forgets, and is told again.
	server.Kill()
	reports.await(t, "not to be reached", fails(server.Address))
	server.Restart(t)
	reports.await(t, "registered again", works)
	updates.await(t, "up", is(up))
	sidecar.await(t, "up", is("127.0.0.1:9090 healthy"))
	server.Deregister(t, "payments")
	updates.await(t, "registered a third time", is(up))

	if err := registrar.Close(t.Context()); err != nil {
		t.Error(err)
	}
	updates.await(t, "gone", missing)
	sidecar.await(t, "gone", missing)
	select {
	case <-ended:
	case <-time.After(hung):
		t.Error("Run goes on although the registrar is closed")
	}
	if err := registrar.Close(t.Context()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestCloseSaysWhatIsStillRegistered(t *testing.T) {
	server, client := agent(t)
	registrar, reports, _ := keep(t, client, consul.Registration{Name: "web", Port: 80, Sidecar: &consul.Sidecar{Port: 81}})
	reports.await(t, "registered", works)
	server.Kill()
	err := registrar.Close(t.Context())
	for _, says := range []string{"web is still registered", "web-sidecar-proxy is still registered", server.Address} {
		if !fails(says)(reported{err: err}) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}

// An agent that takes the request and never answers holds nobody up for longer than
// they want to wait.
func TestCloseDoesNotHang(t *testing.T) {
	f, client := startFake(t)
	registrar, _, _ := keep(t, client, consul.Registration{Name: "web", Port: 80})
	f.await(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := registrar.Close(ctx); !fails("a request hangs")(reported{err: err}) {
		t.Errorf("error %v, want one that says that a request hangs", err)
	}
}

func TestRegistrationNeedsWrite(t *testing.T) {
	server := guarded(t)
	client := dial(t, consul.Connection{Address: server.Address, Token: reader})
	_, reports, _ := keep(t, client, consul.Registration{Name: "web", Port: 80})
	reports.await(t, "denied", fails(`the token needs service:write on "web"`))
	client = dial(t, consul.Connection{Address: server.Address, Token: management})
	_, reports, _ = keep(t, client, consul.Registration{Name: "web", Port: 80})
	reports.await(t, "registered", works)
}

func TestChecks(t *testing.T) {
	grpc := backends.GRPC(t, "", "")
	server, client := agent(t)
	for name, check := range map[string]consul.Check{
		"tcp":  {TCP: grpc.Addr, Interval: time.Second},
		"grpc": {GRPC: grpc.Addr, Interval: time.Second, DeregisterAfter: time.Minute},
		"ttl":  {TTL: time.Minute},
	} {
		_, reports, _ := keep(t, client, consul.Registration{Name: name, Address: "127.0.0.1", Port: 80, Checks: []consul.Check{check}})
		reports.await(t, name+" registered", works)
	}
	server.SetTTL(t, "service:ttl", api.HealthPassing)
	for name, want := range map[string]string{
		"tcp": "127.0.0.1:80 healthy", "ttl": "127.0.0.1:80 healthy",
		"grpc": "127.0.0.1:80 unhealthy", // it is up, but has no health service
	} {
		follow(t, client, consul.Options{Service: name}).await(t, name+" checked", func(u discovery.Update) bool { return is(want)(u) })
	}
}

func TestRefusesRegistrations(t *testing.T) {
	client := dial(t, consul.Connection{})
	for _, tt := range []struct {
		registration consul.Registration
		says         string
	}{
		{consul.Registration{Port: 80}, "no name"},
		{consul.Registration{Name: "a b", Port: 80}, "no name"},
		{consul.Registration{Name: "a", ID: "a/b", Port: 80}, "no name"},
		{consul.Registration{Name: "a"}, "port 0"},
		{consul.Registration{Name: "a", Port: 80, Sidecar: &consul.Sidecar{}}, "a-sidecar-proxy: port 0"},
		{consul.Registration{Name: "a", Port: 80, Checks: []consul.Check{{HTTP: "b", TCP: "c:1"}}}, "one of http, tcp, grpc and ttl"},
		{consul.Registration{Name: "a", Port: 80, Checks: []consul.Check{{Interval: 1}}}, "one of http, tcp, grpc and ttl"},
		{consul.Registration{Name: "a", Port: 80, Checks: []consul.Check{{TCP: "c"}}}, "missing port"},
	} {
		if _, err := client.Register(tt.registration); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want an error that says %q", tt.registration, err, tt.says)
		}
	}
}

// A registration that is found is compared whole, and what differs is written; checks of
// others, and maintenance, stay.
func TestWhatIsRegisteredIsCompared(t *testing.T) {
	server, client := agent(t)
	base := func() consul.Registration {
		return consul.Registration{
			Name: "web", ID: "web1", Address: "127.0.0.1", Port: 8080, Tags: []string{"a", "b"}, Meta: map[string]string{"k": "v"}, PassingWeight: 2,
			Checks:  []consul.Check{{Name: "the application", TTL: time.Hour}, {ID: "proxy", Name: "the proxy", TCP: server.Address, Up: true}},
			Sidecar: &consul.Sidecar{Address: "127.0.0.1", Port: 9090, Checks: []consul.Check{{TCP: server.Address, Up: true}}},
		}
	}
	// run has a registrar of its own look at what there is, as after a restart.
	run := func(r consul.Registration) consul.Outcome {
		t.Helper()
		registrar, err := client.Register(r)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var did reported
		registrar.Run(ctx, func(o consul.Outcome, err error) {
			did = reported{o, err}
			cancel()
		})
		if did.err != nil {
			t.Fatal(did.err)
		}
		return did.did
	}
	same := func(what string, got consul.Outcome, want consul.Outcome) {
		t.Helper()
		if !slices.Equal(got.Registered, want.Registered) || !slices.Equal(got.Changed, want.Changed) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	same("new", run(base()), consul.Outcome{Registered: []string{"web1", "web1-sidecar-proxy"}})
	same("again", run(base()), consul.Outcome{})
	server.SetTTL(t, "service:web1", api.HealthPassing)

	local := server.API(t).Agent()
	foreign := &api.AgentCheckRegistration{ID: "disk", Name: "disk", ServiceID: "web1", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing}}
	if err := errors.Join(local.CheckRegister(foreign), local.EnableServiceMaintenance("web1", "by a test")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(*consul.Registration)
		want   []string
	}{
		{func(r *consul.Registration) { r.Tags = []string{"b"} }, []string{"web1: tags"}},
		{func(r *consul.Registration) { r.Meta = map[string]string{"k": "w"} }, []string{"web1: meta"}},
		{func(r *consul.Registration) { r.PassingWeight = 7 }, []string{"web1: weights"}},
		{func(r *consul.Registration) { r.Address = "127.0.0.2" }, []string{"web1: address"}},
		{func(r *consul.Registration) { r.Port = 8081 }, []string{"web1: port", "web1-sidecar-proxy: proxy"}},
		{func(r *consul.Registration) { r.Sidecar.Port = 9091 }, []string{"web1-sidecar-proxy: port"}},
		{func(r *consul.Registration) { r.Checks[1].Interval = time.Minute }, []string{"web1: checks"}},
		{func(r *consul.Registration) { r.Checks[1].DeregisterAfter = time.Hour }, []string{"web1: checks"}},
		{func(r *consul.Registration) { r.Checks = r.Checks[:1] }, []string{"web1: checks"}},
		{func(r *consul.Registration) { r.Name = "shop" }, []string{"web1: name", "web1-sidecar-proxy: name, proxy"}},
	} {
		r := base()
		tt.change(&r)
		same(strings.Join(tt.want, "; "), run(r), consul.Outcome{Changed: tt.want})
		same("again", run(r), consul.Outcome{})
		run(base())
	}
	checks, err := local.Checks()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"disk", "_service_maintenance:web1", "service:web1", "service:web1:proxy"} {
		if checks[id] == nil {
			t.Errorf("the check %s is gone", id)
		}
	}
	if c := checks["service:web1"]; c != nil && c.Status != api.HealthPassing {
		t.Errorf("what was passing is %s", c.Status)
	}
}

// A registration that was lost comes back with the health that is known, and not
// critical until the agent has looked. Nobody tells the agent of this one.
func TestALostRegistrationComesBackWell(t *testing.T) {
	server, client := agent(t)
	what := consul.Registration{
		Name: "web", Address: "127.0.0.1", Port: 80, Checks: []consul.Check{{TTL: time.Hour}},
		Sidecar: &consul.Sidecar{Address: "127.0.0.1", Port: 81, Checks: []consul.Check{{ID: "own", TTL: time.Hour}}},
	}
	first, reports, _ := keep(t, client, what)
	reports.await(t, "registered", works)
	server.SetTTL(t, "service:web", api.HealthPassing)
	server.SetTTL(t, "service:web-sidecar-proxy:own", api.HealthWarning)
	if err := first.Close(t.Context(), first.IDs()...); err != nil {
		t.Error(err)
	}
	updates, sidecar := follow(t, client, consul.Options{Service: "web"}), follow(t, client, consul.Options{Service: "web-sidecar-proxy"})
	updates.await(t, "what is kept is still there", is("127.0.0.1:80 healthy"))
	_, reports, _ = keep(t, client, what)
	reports.await(t, "known", works) // and how it is
	server.Deregister(t, "web")
	server.Deregister(t, "web-sidecar-proxy")
	reports.await(t, "registered again", func(r reported) bool { return len(r.did.Registered) > 0 })
	updates.await(t, "well again", is("127.0.0.1:80 healthy"))
	sidecar.await(t, "back as it was", is("127.0.0.1:81 degraded"))
	updates.each(func(i int, u discovery.Update) {
		if !u.Missing && brief(u.Endpoints) != "127.0.0.1:80 healthy" {
			t.Errorf("update %d: %s", i, brief(u.Endpoints))
		}
	})
}

// A service and its sidecar go together, whichever of them fails.
func TestASidecarIsAsWellAsItsService(t *testing.T) {
	server, client := agent(t)
	_, reports, _ := keep(t, client, consul.Registration{
		Name: "web", Address: "127.0.0.1", Port: 80, Checks: []consul.Check{{TTL: time.Hour}, {ID: "proxy", TTL: time.Hour, Up: true}},
		Sidecar: &consul.Sidecar{Address: "127.0.0.1", Port: 81, Checks: []consul.Check{{TTL: time.Hour, Up: true}}},
	})
	reports.await(t, "registered", works)
	updates, sidecar := follow(t, client, consul.Options{Service: "web"}), follow(t, client, consul.Options{Service: "web-sidecar-proxy"})
	both := func(health string) {
		t.Helper()
		updates.await(t, health, is("127.0.0.1:80 "+health))
		sidecar.await(t, health, is("127.0.0.1:81 "+health))
	}
	both("unhealthy") // nobody knows of the application yet
	server.SetTTL(t, "service:web", api.HealthPassing)
	both("healthy")
	server.SetTTL(t, "service:web:proxy", api.HealthCritical)
	both("unhealthy")
	server.SetTTL(t, "service:web:proxy", api.HealthPassing)
	both("healthy")
}
