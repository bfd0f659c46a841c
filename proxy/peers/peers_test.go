package peers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/discovery"
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
		Name: "shop", Process: "web", Self: mesh.Member{Service: "web", Address: "0.0.0.0:9901"}, IsSelf: func(a string, _ map[string]string) bool { return a == self },
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
	again, _ := proxy(t, "shop", "web") // this proxy, at an address that does not look like its own
	dead := httptest.NewServer(nil)
	dead.Close()
	away := strings.TrimPrefix(dead.URL, "http://")
	p := newPeers(t, "10.0.0.1:9901", orders, "10.0.0.1:9901", other, away, again)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if all := p.Members(over); len(all) != 5 || all[0].Address != "10.0.0.1:9901" || asked.Load() != 0 {
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

// TestMembersComeAndGo with what a source finds. A source that fails takes nobody away, and
// says no more than that by its silence.
func TestMembersComeAndGo(t *testing.T) {
	orders, asked := proxy(t, "shop", "orders")
	at := func(address, service, name, why string) discovery.Endpoint {
		return discovery.Endpoint{Address: address, Why: why, Metadata: mesh.Member{Service: service, Instance: service + "1", Version: "v2"}.Metadata(name)}
	}
	feed := discovery.NewFeed(discovery.Update{Err: errors.New("away")})
	p := newPeers(t, "10.0.0.1:9901", "127.0.0.1:1")
	p.Follow(feed)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []struct {
		update discovery.Update
		want   string
	}{
		{discovery.Update{Endpoints: []discovery.Endpoint{
			at("10.0.0.1:9901", "web", "shop", ""), at("10.0.0.2:9901", "bank", "shop", "check is critical"), at("10.0.0.3:9901", "ledger", "bank", ""), {Address: orders},
		}}, "web 10.0.0.1:9901, 127.0.0.1:1, orders ORDERS, bank 10.0.0.2:9901 check is critical"},
		{discovery.Update{Err: errors.New("away")}, "web 10.0.0.1:9901, 127.0.0.1:1, orders ORDERS, bank 10.0.0.2:9901 check is critical"},
		{discovery.Update{Endpoints: []discovery.Endpoint{at("10.0.0.2:9901", "bank", "shop", "")}, Err: errors.New("stale")}, "web 0.0.0.0:9901, 127.0.0.1:1, bank 10.0.0.2:9901"},
		{discovery.Update{Endpoints: []discovery.Endpoint{}}, "web 0.0.0.0:9901, 127.0.0.1:1"},
	} {
		feed.Push(step.update)
		want := strings.Split(strings.Replace(step.want, "ORDERS", orders, 1), ", ")
		slices.Sort(want)
		var got []string
		for limit := time.Now().Add(time.Minute); !slices.Equal(got, want); time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("%q, want %q", got, want)
			}
			got = nil
			ctx := over
			if strings.Contains(step.want, "ORDERS") {
				ctx = t.Context()
			}
			for _, m := range p.Members(ctx) {
				if m.Address == "127.0.0.1:1" {
					m.Error = "" // there is no way to it
				}
				got = append(got, strings.TrimSpace(strings.TrimSpace(m.Service+" "+m.Address)+" "+m.Error))
			}
			slices.Sort(got)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("orders was asked %d times who it is", asked.Load())
	}
}

// FuzzSelf: whatever a member says of itself, it can be shown, and is asked at the address
// that is known.
func FuzzSelf(f *testing.F) {
	f.Add([]byte(`{"mesh": "shop", "service": "web\u001b[31m", "instance": "w1", "version": "v1", "address": "evil:1", "since": "2026-03-04T05:06:07Z", "self": true, "error": "x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		m, _, err := decode(strings.NewReader(string(answer)), "10.0.0.2:9901")
		if err == nil && (m.Address != "10.0.0.2:9901" || strings.ContainsAny(m.Service+m.Instance+m.Version+m.Error, "\x1b\r\n\x07")) {
			t.Fatalf("%+v", m)
		}
	})
}
