package mesh

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/diagnose"
)

// member is a fake proxy of a mesh.
type member struct {
	process string
	members func() Members
	hops    string
	relays  map[string]string // what it answers for others, by address
	claims  map[string]string // whose process they say they are
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(HeaderProcess, m.process)
	path, isV1 := strings.CutPrefix(r.URL.Path, "/v1")
	other, relayed := strings.CutPrefix(path, "/peers/")
	switch {
	case !isV1:
		w.WriteHeader(http.StatusNotFound)
	case path == "/peers":
		text, _ := json.Marshal(m.members())
		w.Write(text)
	case path == "/hops":
		io.WriteString(w, m.hops)
	case relayed:
		address, _ := strings.CutSuffix(other, "/v1/hops")
		text, ok := m.relays[address]
		if !ok {
			w.Header().Set(HeaderRelay, "failed")
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, `{"error": "connection refused"}`)
			return
		}
		w.Header().Set(HeaderProcess, cmp.Or(m.claims[address], "of "+address))
		io.WriteString(w, text)
	}
}

// TestMembersAreReachedThroughOne asks one proxy of a mesh. What the others know comes by
// way of it, and of those that can't be asked it is said why.
func TestMembersAreReachedThroughOne(t *testing.T) {
	web := &member{process: "web", hops: answerOf(t, hopOf("web", 1, 0, 500)), relays: map[string]string{
		"10.0.0.2:9901": answerOf(t, hopOf("orders", 3, 2, 500)), "10.0.0.4:9901": answerOf(t, hopOf("batch", 9, 0, 200)), "10.0.0.5:9901": answerOf(t, hopOf("false", 11, 0, 200)),
	}, claims: map[string]string{"10.0.0.5:9901": "of 10.0.0.4:9901"}}
	admin := serve(t, web.ServeHTTP)
	web.members = func() Members {
		return Members{Mesh: "shop", Peers: []Member{
			{Service: "web", Instance: "w1", Address: "0.0.0.0:9901", Self: true}, {Service: "orders\x1b", Instance: "o1", Address: "10.0.0.2:9901"},
			{Service: "stock", Address: "10.0.0.3:9901"}, {Address: "10.0.0.4:9901"}, {Service: "false", Address: "10.0.0.5:9901"}, {Address: "10.0.0.2:9901"}, {Address: "../x"},
		}}
	}
	// It is reached at two addresses, and is asked once more itself.
	c, err := New(Options{Admin: []string{admin}, Peers: []string{admin, strings.Replace(admin, "127.0.0.1", "localhost", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hops, peers := c.Trace(limited(t, patience), traceID)
	var services []string
	for _, h := range hops {
		services = append(services, h.Labels.Service)
	}
	if slices.Sort(services); !slices.Equal(services, []string{"batch", "orders", "web"}) {
		t.Errorf("hops of %q", services)
	}
	var got []string
	for _, p := range peers {
		got = append(got, fmt.Sprintf("%s %s %s %d %v", strings.Replace(p.Address, admin, "ADMIN", 1), p.Service, p.Instance, p.Hops, p.Err))
	}
	want := []string{
		"ADMIN   1 <nil>", // itself, as was asked for
		"10.0.0.2:9901 orders  o1 1 <nil>",
		"10.0.0.3:9901 stock  0 by way of " + admin + ": it answered 502: connection refused",
		"10.0.0.4:9901   1 <nil>",
		"10.0.0.5:9901 false  0 it says that it is the same process as 10.0.0.4:9901, so its answer was left out",
	}
	if !slices.Equal(got, want) {
		t.Errorf("peers\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := string(Assemble(traceID, hops, peers).AppendText(nil, diagnose.TextOptions{})); !strings.Contains(text, "3 of 5 proxies answered; not, or not all, from:\n  10.0.0.3:9901 (stock): by way of ") {
		t.Errorf("%s", text)
	}
}

// TestTwins: a member that claims to be a proxy that is asked itself takes nothing from it.
func TestTwins(t *testing.T) {
	stock := &member{process: "stock", hops: answerOf(t, hopOf("stock", 5, 0, 200))}
	liar := &member{process: "web", hops: "[]", relays: map[string]string{"10.0.0.9:9901": answerOf(t, hopOf("false", 7, 0, 200))}, claims: map[string]string{"10.0.0.9:9901": "stock"}}
	liar.members = func() Members {
		return Members{Peers: []Member{{Service: "web", Self: true}, {Service: "false", Address: "10.0.0.9:9901"}}}
	}
	address := serve(t, stock.ServeHTTP)
	c, err := New(Options{Admin: []string{serve(t, liar.ServeHTTP)}, Peers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hops, peers := c.Trace(limited(t, patience), traceID)
	if len(hops) != 1 || hops[0].Labels.Service != "stock" || len(peers) != 2 || peers[1].Address != address || peers[1].Err != nil {
		t.Errorf("%d hops, %+v", len(hops), peers)
	}
}

// TestProxiesOfAnOlderVersion have no /v1, and answer for themselves.
func TestProxiesOfAnOlderVersion(t *testing.T) {
	old := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hops" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error": "there is no such endpoint"}`)
			return
		}
		io.WriteString(w, answerOf(t, hopOf("web", 1, 0, 500)))
	})
	c, err := New(Options{Admin: []string{old}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if hops, peers := c.Trace(limited(t, patience), traceID); len(hops) != 1 || len(peers) != 1 || peers[0].Err != nil {
		t.Errorf("%d hops, %+v", len(hops), peers)
	}
}

// TestOneThatOnlyLeadsToMembers is not asked itself: it lists others, and not itself.
func TestOneThatOnlyLeadsToMembers(t *testing.T) {
	admin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(HeaderProcess, "p")
		switch r.URL.Path {
		case "/v1/peers":
			io.WriteString(w, `{"mesh": "shop", "peers": [{"service": "web", "address": "127.0.0.1:1"}]}`)
		case "/v1/peers/127.0.0.1:1/v1/hops":
			io.WriteString(w, answerOf(t, hopOf("web", 1, 0, 500)))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	c, err := New(Options{Admin: []string{admin}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if hops, peers := c.Trace(limited(t, patience), traceID); len(hops) != 1 || len(peers) != 1 || peers[0].Err != nil || peers[0].Address != "127.0.0.1:1" {
		t.Errorf("%d hops, %+v", len(hops), peers)
	}
}

// TestBadListOfMembers: what makes no sense in it is left out and said, and the rest is
// asked.
func TestBadListOfMembers(t *testing.T) {
	for text, want := range map[string]string{
		"hello": "not JSON", `{"peers": [`: "ends too early", `{"peers": [` + strings.Repeat("{},", maxMembers) + `{}]}`: "too long", "[]": "its list of members",
		`{"peers": [{"self": true, "address": "127.0.0.1:1"}, {"address": "x"}]}`: "1 of the 2 members that it lists were left out",
	} {
		admin := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(HeaderProcess, "p")
			if r.URL.Path == "/v1/hops" {
				text = "[]"
			}
			io.WriteString(w, text)
		})
		c, err := New(Options{Admin: []string{admin}})
		if err != nil {
			t.Fatal(err)
		}
		if _, peers := c.Trace(limited(t, patience), traceID); len(peers) != 1 || peers[0].Err == nil || !strings.Contains(peers[0].Err.Error(), want) {
			t.Errorf("%.40s: %+v, want %q", text, peers, want)
		}
		c.Close()
	}
}

// FuzzMembers: whatever a proxy lists, only addresses of members are asked for, and all
// texts can be shown.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"mesh": "shop", "peers": [{"service": "web", "instance": "w1", "address": "[::1]:9901", "version": "1", "since": "2026-03-04T05:06:07Z", "self": true}]}`))
	f.Add([]byte(`{"peers": [{"address": "127.0.0.1:1/../../drain"}, {"address": "a b:1"}, {"address": "[::1%25eth0]:1"}, {"address": "a\u001b:1"}, null]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		m, err := decodeMembers(strings.NewReader(string(answer)))
		if len(m.Peers) > maxMembers {
			t.Fatalf("%d members, error %v", len(m.Peers), err)
		}
		for _, p := range m.Peers {
			if p.Self && p.Address == "" {
				continue
			}
			if again, err := parseAddress(p.Address, "http"); err != nil || again != p.Address || strings.ContainsAny(p.Address, "/?#@ \x1b%") {
				t.Fatalf("%q, error %v", p.Address, err)
			}
			if strings.ContainsAny(p.Service+p.Instance+p.Version+p.Error+m.Mesh, "\x1b\x07\r\n") {
				t.Fatalf("%+v", p)
			}
		}
	})
}

// TestDeadline: when the time is over, who has not answered is told from who could not.
func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hanging := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	refused := make(chan struct{})
	_, peers := Ask(ctx, newClient(t, hanging, "127.0.0.1:1"), func(ctx context.Context, p *Proxy) ([]int, error) {
		if p.Address == hanging {
			<-refused
			_, err := p.Get(ctx, "/hops")
			return nil, err
		}
		defer close(refused)
		_, err := p.Get(ctx, "/hops")
		return nil, err
	})
	if len(peers) != 2 || !strings.HasPrefix(peers[0].Err.Error(), "no whole answer within ") || peers[1].Err.Error() != "connection refused" {
		t.Errorf("%+v", peers)
	}
	c, err := New(Options{Admin: []string{hanging}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, peers := c.Trace(ctx, traceID); len(peers) != 1 || peers[0].Err == nil || peers[0].Err.Error() != "it did not say in time who else is in its mesh" {
		t.Errorf("%+v", peers)
	}
}

// TestAnotherVersion has a proxy that has /v1, but not the question.
func TestAnotherVersion(t *testing.T) {
	old := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(HeaderProcess, "p")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error": "there is no /v1/hops here", "hint": "these are the endpoints", "endpoints": ["GET /"]}`)
	})
	if _, peers := newClient(t, old).Trace(limited(t, patience), traceID); peers[0].Err == nil || !strings.HasPrefix(peers[0].Err.Error(), "its version does not know this question") {
		t.Errorf("%+v", peers)
	}
}
