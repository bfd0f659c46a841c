package cluster

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// fail notes failures in a row, and waits for what comes of them.
func (r *rig) fail(e *Endpoint, n int) {
	for range n {
		e.Note(r.shared.Now(), outlier.Error5xx)
	}
	r.pass(gather) // which is the most that it takes
}

func (r *rig) ejections() string {
	var all []string
	r.Ejections(func(event, reason string, n uint64) { all = append(all, fmt.Sprintf("%s %s %d", event, reason, n)) })
	return strings.Join(all, ", ")
}

// An endpoint that fails so often in a row is ejected at once, for a time.
func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, Options{Outlier: &o, Balance: balance.Options{PanicThreshold: 20, Overprovisioning: 1.4}})
		r.found("a:1", "b:1", "c:1")
		r.logged()
		a, b := r.endpoint("a:1"), r.endpoint("b:1")
		r.fail(a, 4)
		r.wantPicked("a:1", "b:1", "c:1")
		r.fail(a, 1)
		r.wantPicked("b:1", "c:1")
		r.wantLog([]string{"level=WARN", "endpoint ejected", "cluster=web", "endpoint=a:1", "reason=consecutive_5xx", "5 failures in a row"})
		s := r.status("a:1")
		if s.Health != "unhealthy" || s.Why != "ejected: 5 failures in a row" || !s.Ejected || s.Ejections != 1 || s.Until == nil ||
			time.Until(*s.Until) > 30*time.Second || time.Until(*s.Until) < 29*time.Second {
			t.Errorf("status %+v", s)
		}
		if s.SuccessPercent == nil || *s.SuccessPercent != 0 {
			t.Errorf("success percent %v", s.SuccessPercent)
		}

		r.fail(b, 5)
		r.wantPicked("b:1", "c:1")
		r.wantLog([]string{"level=WARN", "endpoint not ejected", "endpoint=b:1", "1 of 3 endpoints are"})

		r.found("b:1", "a:1", "c:1", "d:1") // it stays ejected
		r.wantPicked("b:1", "c:1", "d:1")
		r.logged()
		r.pass(31 * time.Second)
		r.wantPicked("a:1", "b:1", "c:1", "d:1")
		r.wantLog([]string{"level=INFO", "endpoint back", "endpoint=a:1", "its ejection time is over"})
		if got, want := r.ejections(), "ejected consecutive_5xx 1, unejected consecutive_5xx 1, overflow consecutive_5xx 1"; got != want {
			t.Errorf("ejections %s, want %s", got, want)
		}
	})
}

// An ejected endpoint is used in a panic, and one that comes back to the cluster
// comes without a record.
func TestEjectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, Options{Outlier: &o, Balance: balance.Options{PanicThreshold: 50, Overprovisioning: 1.4}})
		r.found("a:1")
		r.fail(r.endpoint("a:1"), 5)
		r.wantPicked("a:1")
		var panics uint64
		r.Picks(func(outcome string, n uint64) {
			if outcome == "panic" {
				panics = n
			}
		})
		if panics != 20 {
			t.Errorf("%d picks in a panic, want 20", panics)
		}
		r.found()
		r.found("a:1")
		if s := r.status("a:1"); s.Health != "healthy" || s.Ejected || s.Ejections != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// What people do to an endpoint holds until they take it back.
func TestActions(t *testing.T) {
	for _, tt := range []struct {
		name      string
		actions   []Action
		alone     bool // it is picked if there is no other
		health    string
		why       string
		ejections string
	}{
		{"eject", []Action{Eject}, true, "unhealthy", "ejected by hand", "ejected manual 1"},
		{"eject twice", []Action{Eject, Eject}, true, "unhealthy", "ejected by hand", "ejected manual 1"},
		{"drain", []Action{Drain}, false, "excluded", "drained by hand", ""},
		{"drain, then eject", []Action{Drain, Eject}, true, "unhealthy", "ejected by hand", "ejected manual 1"},
		{"eject, then drain", []Action{Eject, Drain}, false, "excluded", "drained by hand", "ejected manual 1, unejected manual 1"},
		{"restore", []Action{Restore}, true, "healthy", "", ""},
		{"restore what was ejected", []Action{Eject, Restore}, true, "healthy", "", "ejected manual 1, unejected manual 1"},
		{"restore what was drained", []Action{Drain, Restore}, true, "healthy", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFed(t, Options{Balance: balance.Options{PanicThreshold: 50, Overprovisioning: 1.4}})
				r.found("a:1", "b:1", "c:1", "d:1")
				r.logged()
				for _, a := range tt.actions {
					if err := r.Act("a:1", a); err != nil {
						t.Fatal(err)
					}
					r.wantLog([]string{"level=INFO", "changed by hand", "endpoint=a:1", "action=" + string(a)})
				}
				if s := r.status("a:1"); s.Health != tt.health || s.Why != tt.why || s.Ejected {
					t.Errorf("status %+v", s)
				}
				want := []string{"b:1", "c:1", "d:1"}
				if tt.health == "healthy" {
					want = append(want, "a:1")
				}
				r.wantPicked(want...)
				if got := r.ejections(); got != tt.ejections {
					t.Errorf("ejections %q, want %q", got, tt.ejections)
				}
				r.found("a:1", "b:1") // it stays so
				r.found("a:1")
				if !tt.alone {
					r.nothing(fault.NoHealthy, "a:1 is "+tt.why)
					return
				}
				r.wantPicked("a:1")
			})
		})
	}
}

// Restore ends an ejection as an outlier, but nothing that the source says.
func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outlier.Defaults()
		r := newFed(t, Options{Outlier: &o, Balance: balance.Options{Overprovisioning: 1.4}})
		r.found("a:1", "b:1")
		r.fail(r.endpoint("a:1"), 5)
		r.wantPicked("b:1")
		r.logged()
		if err := r.Act("a:1", Restore); err != nil {
			t.Fatal(err)
		}
		r.wantPicked("a:1", "b:1")
		r.wantLog([]string{"endpoint back", "restored by hand"}, []string{"changed by hand", "action=restore"})
		r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{{Address: "a:1", Weight: 1, Health: discovery.Unhealthy}, {Address: "b:1", Weight: 1}}})
		if err := r.Act("a:1", Restore); err != nil {
			t.Fatal(err)
		}
		r.wantPicked("b:1")
	})
}

func TestActionsThatMakeNoSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.found("a:1")
		r.logged()
		for _, tt := range []struct {
			address string
			action  Action
			want    string
		}{
			{"b:1", Drain, "cluster web has no endpoint b:1"},
			{"a:1", "explode", `there is no action "explode": expected eject, restore or drain`},
		} {
			if err := r.Act(tt.address, tt.action); err == nil || err.Error() != tt.want {
				t.Errorf("%s %s: %v", tt.action, tt.address, err)
			}
		}
		r.wantLog()
	})
}
