package consul_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hung ends a test that waits for what never comes. No test is about its length.
const hung = 2 * time.Minute

// quick are pauses between failures that suit a test.
var quick = discovery.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}

// dial makes a client that is closed when the test ends.
func dial(t *testing.T, c consul.Connection) *consul.Client {
	t.Helper()
	client, err := consul.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// record keeps all that a watch delivers.
type record[T any] struct {
	mu   sync.Mutex
	all  []T
	more chan struct{} // closed at the next one
}

func (r *record[T]) add(u T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, u)
	close(r.more)
	r.more = make(chan struct{})
}

// await returns the last update once it is as wanted.
func (r *record[T]) await(t *testing.T, what string, wanted func(T) bool) T {
	t.Helper()
	deadline := time.After(hung)
	for {
		r.mu.Lock()
		n, more := len(r.all), r.more
		var last T
		if n > 0 {
			last = r.all[n-1]
		}
		r.mu.Unlock()
		if n > 0 && wanted(last) {
			return last
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("never %s; the last of %d updates is %+v", what, n, last)
		}
	}
}

// nth returns the nth update, 1 being the first, once it is there.
func (r *record[T]) nth(t *testing.T, n int) T {
	t.Helper()
	r.await(t, fmt.Sprintf("%d updates", n), func(T) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.all) >= n
	})
	return r.all[n-1]
}

// each checks every update that there was so far.
func (r *record[T]) each(check func(i int, u T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, u := range r.all {
		check(i, u)
	}
}

// watch runs a watch until the test ends.
func watch[T any](t *testing.T, run func(context.Context, func(T))) *record[T] {
	t.Helper()
	r := &record[T]{more: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx, r.add)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// follow watches a service.
func follow(t *testing.T, client *consul.Client, o consul.Options) *record[discovery.Update] {
	t.Helper()
	if o.Backoff == (discovery.Backoff{}) {
		o.Backoff = quick
	}
	source, err := client.Service(o)
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, source.Run)
}

// brief writes endpoints as "address health", with a comma between them.
func brief(endpoints []discovery.Endpoint) string {
	words := make([]string, len(endpoints))
	for i, e := range endpoints {
		words[i] = fmt.Sprintf("%s %s", e.Address, e.Health)
	}
	return strings.Join(words, ", ")
}

// is wants these endpoints of a Consul that works.
func is(want string) func(discovery.Update) bool {
	return func(u discovery.Update) bool { return u.Err == nil && !u.Missing && brief(u.Endpoints) == want }
}

// stale wants these endpoints, and that they may be out of date.
func stale(want string) func(discovery.Update) bool {
	return func(u discovery.Update) bool { return u.Err != nil && !u.Missing && brief(u.Endpoints) == want }
}

func missing(u discovery.Update) bool {
	return u.Err == nil && u.Missing && len(u.Endpoints) == 0
}

// web is an instance at 127.0.0.1 with a check that a test sets.
func web(port int, change ...func(*api.AgentServiceRegistration)) *api.AgentServiceRegistration {
	s := &api.AgentServiceRegistration{
		Name: "web", ID: fmt.Sprint("web", port), Address: "127.0.0.1", Port: port,
		Check: &api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func tagged(tags ...string) func(*api.AgentServiceRegistration) {
	return func(s *api.AgentServiceRegistration) { s.Tags = tags }
}

// agent is a Consul with a client of ours.
func agent(t *testing.T) (*backends.ConsulServer, *consul.Client) {
	t.Helper()
	server := backends.Consul(t, backends.ConsulOptions{})
	return server, dial(t, consul.Connection{Address: server.Address})
}
