package policies_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestUpgrades: a route lets requests change to the protocols that it lists, over HTTP/1 and
// HTTP/2, and refuses others.
func TestUpgrades(t *testing.T) {
	websocket, none := []string{"websocket"}, []string{"none"}
	for _, tt := range []struct {
		name           string
		allowed        []string
		asked, offered string // by the client, and to the endpoint; "" is refused
	}{
		{"all, without a list", nil, "tcp", "tcp"},
		{"listed", websocket, "websocket", "websocket"},
		{"listed in another case", []string{"WebSocket"}, "webSocket", "webSocket"},
		{"not listed", websocket, "tcp", ""},
		{"some are listed", websocket, "tcp, websocket", "websocket"},
		{"none", none, "websocket", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			x := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				_, fields := p.ReadHead()
				proxytest.Same(t, "offered", proxytest.Field(fields, "upgrade"), tt.offered)
				p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " + tt.offered + "\r\n\r\n")
				p.Expect("ping")
				p.Send("pong")
			}), func(s *proxytest.Settings) { s.Route.Upgrades = tt.allowed })
			client := x.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: "+tt.asked+"\r\n", field, "\r\n")
			if tt.offered != "" {
				first, _ := client.ReadHead()
				proxytest.Same(t, "response", first, "HTTP/1.1 101 Switching Protocols")
				client.Send("ping")
				client.Expect("pong")
				client.Close()
				return
			}
			response, _ := client.ReadResponse("GET")
			proxytest.Same(t, "status", response.StatusCode, 403)
			h := x.Hop(trace)
			proxytest.Same(t, "details", h.Details, "upgrade_failed")
			proxytest.Reason(t, "reason", h.Failure.Reason, "does not let requests change to the protocol "+tt.asked)
			proxytest.Same(t, "attempts", len(h.Attempts), 0)
		})
	}
	t.Run("HTTP/2", func(t *testing.T) {
		proxytest.NoLeaks(t)
		x := proxytest.Start(t, proxytest.RefusingAddress(t), func(s *proxytest.Settings) { s.Route.Upgrades = none })
		client := proxytest.DialHTTP2(t, x.Ingress())
		stream := client.Ask(false, "CONNECT", "/", ":protocol: websocket")
		proxytest.Same(t, "status", client.ReadHead(stream).StatusCode, 403)
		client.Close()
	})
	// What changes no protocol passes, calls too.
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200, "grpc-status: 0"))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Route.Upgrades = none })
		x.Ask("GET", nil).Want(t, 200, "", "200")
		x.Ask("POST", nil, call...).Want(t, 200, "", "200")
	})
}
