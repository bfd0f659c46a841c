package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// The names in the JSON are an API: whoever changes them breaks somebody's script.
const statusJSON = `{
  "name": "web",
  "policy": "round_robin",
  "source": {
    "from": "Consul",
    "missing": false,
    "stale": true,
    "stale_since": "2000-01-01T00:00:02Z",
    "known": true,
    "remembered": false,
    "error": "connection refused",
    "updated": "2000-01-01T00:00:00Z",
    "updates_total": 1,
    "errors_total": 1
  },
  "requests_active": 1,
  "retries_active": 1,
  "retries_total": 1,
  "requests_refused_total": 0,
  "retries_refused_total": 1,
  "endpoints": [
    {
      "address": "a:1",
      "weight": 3,
      "priority": 1,
      "region": "north",
      "zone": "n1",
      "metadata": {
        "v": "2"
      },
      "health": "unhealthy",
      "why": "ejected: 5 failures in a row",
      "ejected": true,
      "ejected_until": "2000-01-01T00:00:31.5Z",
      "ejections_total": 1,
      "requests_active": 1,
      "latency_ewma_ms": 0,
      "success_percent": 0,
      "connections_active": 0,
      "connections_idle": 0
    },
    {
      "address": "b:1",
      "weight": 1,
      "priority": 0,
      "health": "excluded",
      "why": "drained by hand",
      "ejected": false,
      "ejections_total": 0,
      "requests_active": 0,
      "latency_ewma_ms": 20,
      "connections_active": 0,
      "connections_idle": 0
    }
  ]
}`

func TestStatusJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, Options{Outlier: &o})
		endpoints := at("a:1", "b:1")
		endpoints[0] = discovery.Endpoint{Address: "a:1", Weight: 3, Priority: 1, Locality: discovery.Locality{Region: "north", Zone: "n1"}, Metadata: map[string]string{"v": "2"}}
		r.deliver(discovery.Update{Endpoints: endpoints})
		r.pass(1500 * time.Millisecond)
		a, b := r.endpoint("a:1"), r.endpoint("b:1")
		for range 5 {
			a.Note(r.shared.Now(), outlier.Error5xx)
		}
		synctest.Wait()
		if r.Act("b:1", Drain) != nil || r.Enter(Default) != nil || !r.EnterRetry(Default, nil, 0) || r.EnterRetry(Default, nil, 0) {
			t.Error("it can't be brought about")
		}
		r.pass(500 * time.Millisecond)
		a.Begin(r.shared.Now())
		b.Begin(0)
		b.Answer(r.shared.Now()-20*time.Millisecond, r.shared.Now(), true)
		b.End()
		r.deliver(discovery.Update{Err: errors.New("connection refused"), Endpoints: endpoints})
		got, err := json.MarshalIndent(r.Status(), "", "  ")
		if err != nil || string(got) != statusJSON {
			t.Errorf("%v\n%s", err, got)
		}
	})
}

// A cluster without endpoints has a list of them all the same.
func TestStatusOfNothing(t *testing.T) {
	c := newCluster(t)
	got, err := json.Marshal(c.Status())
	if want := `{"name":"web","policy":"round_robin","source":{"from":"the configuration","missing":false,"stale":false,"known":true,"remembered":false,"updated":`; err != nil ||
		string(got[:len(want)]) != want || string(got[len(got)-len(`"endpoints":[]}`):]) != `"endpoints":[]}` {
		t.Errorf("%v\n%s", err, got)
	}
}

// Others tells whether a request that failed has anywhere else to go.
func TestOthers(t *testing.T) {
	for _, tt := range []struct {
		addresses []string
		drained   int // of them, the last
		tried     int // of them, the first
		want      bool
	}{
		{nil, 0, 0, false},
		{[]string{"a:1"}, 0, 0, true},
		{[]string{"a:1"}, 0, 1, false},
		{[]string{"a:1"}, 1, 0, false},
		{[]string{"a:1", "b:1"}, 0, 1, true},
		{[]string{"a:1", "b:1"}, 0, 2, false},
		{[]string{"a:1", "b:1"}, 1, 1, false},
		{[]string{"a:1", "b:1", "c:1"}, 1, 1, true},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			c := newCluster(t, tt.addresses...)
			var r balance.Request
			for _, a := range tt.addresses[:tt.tried] {
				r.Tried = append(r.Tried, c.endpoints[a].Load)
			}
			for _, a := range tt.addresses[len(tt.addresses)-tt.drained:] {
				if err := c.Act(a, Drain); err != nil {
					t.Fatal(err)
				}
			}
			if got := c.Others(&r); got != tt.want {
				t.Errorf("%v", got)
			}
			c.Picks(func(outcome string, n uint64) { t.Errorf("%d %s picks were counted, and none was made", n, outcome) })
		})
	}
}

// Picks counts what is remarkable about picks, by its name.
func TestPicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{Balance: balance.Options{PanicThreshold: 50, Overprovisioning: 1.4}})
		counted := func() string { // since the cluster began
			text := ""
			r.Picks(func(outcome string, n uint64) { text += fmt.Sprintf("%s %d ", outcome, n) })
			return text
		}
		r.found("a:1")
		r.picked(10)
		if got := counted(); got != "" {
			t.Errorf("counted %q of what is not remarkable", got)
		}
		r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{{Address: "a:1", Weight: 1, Priority: 0, Health: discovery.Draining}, {Address: "b:1", Weight: 1, Priority: 1, Health: discovery.Degraded}}})
		r.picked(10)
		if got := counted(); got != "degraded 10 failover 10 " {
			t.Errorf("counted %q", got)
		}
		if _, err := r.Pick(&balance.Request{Tried: []*balance.Load{r.endpoint("b:1").Load}}); err != nil {
			t.Error(err)
		}
		if got := counted(); got != "degraded 11 failover 11 repeated 1 " {
			t.Errorf("counted %q", got)
		}
	})
}
