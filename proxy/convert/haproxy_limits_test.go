package convert_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/convert"
)

// The least of all limits of connections is the listener's.
func TestHAProxyMaxConnections(t *testing.T) {
	for _, tt := range []struct {
		global, frontend, bind string
		want                   int
		notes                  int
	}{
		{"", "", "", 0, 1}, // what a cluster takes
		{"maxconn 100", "", "", 100, 0},
		{"maxconn 100", "maxconn 10", "", 10, 0},
		{"maxconn 100", "maxconn 1000", "", 100, 0},
		{"", "maxconn 10", "maxconn 5", 5, 0},
		{"", "", "maxconn 5", 5, 1},
		{"", "maxconn 10", "\n bind :81", 10, 1}, // for both together
		{"maxconn 100", "", "\n bind :81", 100, 1},
	} {
		text := fmt.Sprintf("global\n %s\ndefaults\n mode http\nfrontend f\n %s\n bind :80 %s\n default_backend b\nbackend b\n server a 127.0.0.1:1\n", tt.global, tt.frontend, tt.bind)
		r, err := convert.HAProxy("haproxy.cfg", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Config.Listeners[0].MaxConnections; got != tt.want || len(r.Notes) != tt.notes {
			t.Errorf("%s, %s, %s: max_connections %d with notes %v, want %d with %d", tt.global, tt.frontend, tt.bind, got, r.Notes, tt.want, tt.notes)
		}
	}
}

// What servers take at once is what their cluster takes; the rest waits.
func TestHAProxyServerLimits(t *testing.T) {
	for _, tt := range []struct {
		lines, servers string
		most           int // 0 is no limit
		wait           time.Duration
		complete       bool
	}{
		{"", " server a 127.0.0.1:1 maxconn 3\n server b 127.0.0.1:2 maxconn 4\n", 7, time.Second, true},
		{" timeout queue 9s\n", " server a 127.0.0.1:1 maxconn 3\n", 3, 9 * time.Second, true},
		{" default-server maxconn 5\n", " server a 127.0.0.1:1\n server b 127.0.0.1:2\n", 10, time.Second, true},
		{"", " server a 127.0.0.1:1 maxconn 3\n server b 127.0.0.1:2 maxconn 4 backup\n", 3, time.Second, true},
		{"", " server a 127.0.0.1:1 maxconn 3 backup\n", 3, time.Second, true},
		{"", " server a 127.0.0.1:1 maxconn 3\n server b 127.0.0.1:2\n", 0, 0, false},
		{" timeout queue 9s\n", " server a 127.0.0.1:1\n", 0, 0, true},
		{"", " server a 127.0.0.1:1 maxconn 3 minconn 1\n", 3, time.Second, false},
		{"", " server a 127.0.0.1:1 maxconn 3 maxqueue 1\n", 3, time.Second, false},
		{"", " server-template a 5 a.test:80 maxconn 3\n", 15, time.Second, true},
		{"", " server-template a 2-5 a.test:80 maxconn 3\n", 12, time.Second, true},
	} {
		r, err := convert.HAProxy("haproxy.cfg", []byte("defaults\n mode http\n timeout connect 1s\nfrontend f\n bind :80\n default_backend b\nbackend b\n"+tt.lines+tt.servers))
		if err != nil {
			t.Fatal(err)
		}
		route, most := r.Config.Listeners[0].Routes[0], r.Config.Clusters["b"].CircuitBreaker.MaxConnections
		wait := time.Duration(0)
		if route.Queue != nil {
			wait = route.Queue.MaxWait
		}
		if route.MaxRequests != tt.most || wait != tt.wait || tt.most > 0 && most != tt.most || r.Complete() != tt.complete {
			t.Errorf("%s%s: %d requests, %d connections, %v to wait, notes %v", tt.lines, tt.servers, route.MaxRequests, most, wait, r.Notes)
		}
	}
}
