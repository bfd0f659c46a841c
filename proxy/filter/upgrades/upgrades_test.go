package upgrades_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/upgrades"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestUpgrades: what the endpoint is offered of what a request offers, and what is refused.
func TestUpgrades(t *testing.T) {
	websocket, two := []string{"websocket"}, []string{"tcp", "websocket/13"}
	long := strings.Repeat("a", 200)
	for name, tt := range map[string]struct {
		allowed []string
		asked   []string // the fields
		plain   bool     // it asks for no change, whatever the fields say
		offered []string // nil is refused
		why     string
	}{
		"allowed":                       {allowed: websocket, asked: []string{"websocket"}, offered: []string{"websocket"}},
		"in another case":               {allowed: websocket, asked: []string{"WebSocket"}, offered: []string{"WebSocket"}},
		"with a version":                {allowed: two, asked: []string{"WebSocket/13"}, offered: []string{"WebSocket/13"}},
		"of another version":            {allowed: two, asked: []string{"websocket/12"}, why: "the protocol websocket/12 (upgrades)"},
		"of any version is not allowed": {allowed: websocket, asked: []string{"websocket/13"}, why: "the protocol websocket/13 (upgrades)"},
		"a part of a name":              {allowed: websocket, asked: []string{"web"}, why: "route shop does not let requests change to the protocol web (upgrades)"},
		"more than a name":              {allowed: websocket, asked: []string{"websockets"}, why: "the protocol websockets"},
		"all of several":                {allowed: two, asked: []string{"tcp , websocket/13"}, offered: []string{"tcp , websocket/13"}},
		"some of several":               {allowed: two, asked: []string{"a,\tTCP,b ,WebSocket/13,c"}, offered: []string{"TCP, WebSocket/13"}},
		"the same twice":                {allowed: websocket, asked: []string{"websocket, websocket"}, offered: []string{"websocket, websocket"}},
		"none of several":               {allowed: websocket, asked: []string{"a, b", "c"}, why: "the protocol a, b, c (upgrades)"},
		"several fields":                {allowed: two, asked: []string{"tcp", "websocket/13"}, offered: []string{"tcp", "websocket/13"}},
		"some of several fields":        {allowed: two, asked: []string{"a", "tcp", "websocket/13"}, offered: []string{"tcp, websocket/13"}},
		"empty elements":                {allowed: websocket, asked: []string{", websocket,,"}, offered: []string{", websocket,,"}},
		"empty elements, some":          {allowed: websocket, asked: []string{",a, websocket,,"}, offered: []string{"websocket"}},
		"nothing":                       {allowed: websocket, asked: []string{" , "}, why: "names none"},
		"no field":                      {allowed: websocket, why: "names none"},
		"a long name":                   {allowed: websocket, asked: []string{long}, why: "the protocol " + long[:100] + " (upgrades)"},
		"none is allowed":               {asked: []string{"websocket"}, why: "the protocol websocket"},
		"no change is asked for":        {allowed: websocket, asked: []string{"tcp"}, plain: true, offered: []string{"tcp"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{Route: "shop"}}}
			r := &x.Request
			r.Begin(nil)
			r.Upgrade = !tt.plain
			r.Add(message.Upgrade, "upgrade", "removed before")
			r.Remove(message.Upgrade)
			for _, value := range tt.asked {
				r.Add(message.Upgrade, "Upgrade", value)
			}
			var offered []string
			err := filter.Chain(func(x *filter.Exchange) error {
				for i := range x.Request.Fields {
					if f := &x.Request.Fields[i]; f.ID == message.Upgrade && !f.Removed {
						offered = append(offered, string(x.Request.Bytes(f.Value)))
					}
				}
				return nil
			}, upgrades.New(tt.allowed))(x)
			if diff := cmp.Diff(tt.offered, offered); diff != "" {
				t.Errorf("offered (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.why == "") {
				t.Fatalf("%v, want %q", err, tt.why)
			}
			if err != nil {
				a, ok := errors.AsType[*fault.Answer](err)
				if !ok || fault.Of(err).Kind != fault.Forbidden || a.Details != "upgrade_failed" || !strings.Contains(fault.Of(err).Error(), tt.why) {
					t.Errorf("%v, want %q", err, tt.why)
				}
			}
		})
	}
}
