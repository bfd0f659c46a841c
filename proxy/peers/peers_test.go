package peers

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxy is the admin API of a proxy, which says who it is.
func proxy(t *testing.T, name, service string) (address string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set(mesh.HeaderProcess, service)
		text, _ := json.Marshal(map[string]any{"mesh": name, "service": service, "instance": service + "1", "version": "v1", "self": true, "address": "x"})
		w.Write(text)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func newPeers(t *testing.T, self string, addresses ...string) *Peers {
	caller := mesh.NewCaller(mesh.Access{})
	p := New(Options{
		Name: "shop", Self: mesh.Member{Service: "web", Address: "0.0.0.0:9901"}, IsSelf: func(a string) bool { return a == self },
		Caller: caller, Log: slog.New(slog.DiscardHandler),
	}, addresses)
	t.Cleanup(func() { p.Close(); caller.Close() })
	return p
}

// TestMembers are those at the addresses: this proxy, one that says who it is, one that is
// away, and one of another mesh, which is no member.
func TestMembers(t *testing.T) {
	orders, asked := proxy(t, "shop", "orders")
	other, _ := proxy(t, "bank", "ledger")
	dead := httptest.NewServer(nil)
	dead.Close()
	away := strings.TrimPrefix(dead.URL, "http://")
	p := newPeers(t, "10.0.0.1:9901", orders, "10.0.0.1:9901", other, away)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if all := p.Members(over); len(all) != 4 || all[0].Address != "10.0.0.1:9901" || asked.Load() != 0 {
		t.Errorf("who is in a hurry asks %d times and gets %+v", asked.Load(), all)
	}
	for range 3 {
		all := p.Members(t.Context())
		if len(all) != 3 || !all[0].Self || all[0].Service != "web" || all[0].Address != "10.0.0.1:9901" {
			t.Fatalf("%+v", all)
		}
		if m := all[1]; m.Address != away || m.Service != "" || m.Error != "connection refused" {
			t.Errorf("away: %+v", m)
		}
		if m := all[2]; m.Address != orders || m.Service != "orders" || m.Instance != "orders1" || m.Version != "v1" || m.Self || m.Error != "" {
			t.Errorf("orders: %+v", m)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("orders was asked %d times who it is", asked.Load())
	}
}

// TestMembersThatAnswerWrongly stay members, and it is said what is wrong.
func TestMembersThatAnswerWrongly(t *testing.T) {
	for body, want := range map[string]string{"hello": "makes no sense", "": "makes no sense"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(mesh.HeaderProcess, "x")
			w.Write([]byte(body))
		}))
		all := newPeers(t, "", strings.TrimPrefix(s.URL, "http://")).Members(t.Context())
		if len(all) != 2 || !strings.Contains(all[1].Error, want) {
			t.Errorf("%q: %+v", body, all)
		}
		s.Close()
	}
	for status, want := range map[int]string{401: "refuses this proxy's credential", 404: "of a version that does not say", 500: "it answered 500"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		all := newPeers(t, "", strings.TrimPrefix(s.URL, "http://")).Members(t.Context())
		if len(all) != 2 || !strings.Contains(all[1].Error, want) {
			t.Errorf("%d: %+v", status, all)
		}
		s.Close()
	}
}
