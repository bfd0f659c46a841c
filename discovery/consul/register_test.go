package consul_test

import (
	"context"
	"net/http"
	"net/http/httptest"
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
func keep(t *testing.T, client *consul.Client, r consul.Registration) (*consul.Registrar, *record[error], <-chan struct{}) {
	t.Helper()
	registrar, err := client.Register(r)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	reports := watch(t, func(ctx context.Context, add func(error)) {
		defer close(ended)
		registrar.Run(ctx, add)
	})
	return registrar, reports, ended
}

func works(err error) bool { return err == nil }

func fails(says string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), says) }
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
		Check:   consul.Check{HTTP: application.URL + "/health", Interval: 100 * time.Millisecond},
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
		if !fails(says)(err) {
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
	if err := registrar.Close(ctx); !fails("a request hangs")(err) {
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
		_, reports, _ := keep(t, client, consul.Registration{Name: name, Address: "127.0.0.1", Port: 80, Check: check})
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
		{consul.Registration{Name: "a", Port: 80, Check: consul.Check{HTTP: "b", TCP: "c:1"}}, "one of http, tcp, grpc and ttl"},
		{consul.Registration{Name: "a", Port: 80, Check: consul.Check{Interval: 1}}, "one of http, tcp, grpc and ttl"},
		{consul.Registration{Name: "a", Port: 80, Check: consul.Check{TCP: "c"}}, "missing port"},
	} {
		if _, err := client.Register(tt.registration); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want an error that says %q", tt.registration, err, tt.says)
		}
	}
}
