package forward

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name           string
		from, to       hop.Version
		method         message.Method
		protocol, key  string
		upgrades, keys bool
		content        bool
	}{
		{"HTTP/1.1 on both sides", hop.HTTP11, hop.HTTP11, message.GET, "websocket", "a", true, true, false},
		{"with content", hop.HTTP11, hop.HTTP11, message.POST, "tcp", "", true, false, true},
		{"with content to HTTP/2", hop.HTTP11, hop.HTTP2, message.GET, "websocket", "a", false, true, true},
		{"another protocol on both sides", hop.HTTP11, hop.HTTP11, message.POST, "foo", "", true, false, false},
		{"to HTTP/2", hop.HTTP11, hop.HTTP2, message.GET, "WebSocket", "a", true, true, false},
		{"another protocol to HTTP/2", hop.HTTP11, hop.HTTP2, message.GET, "foo", "", false, false, false},
		{"by POST to HTTP/2", hop.HTTP11, hop.HTTP2, message.POST, "websocket", "", false, false, false},
		{"HTTP/2 on both sides", hop.HTTP2, hop.HTTP2, message.GET, "foo", "", true, false, false},
		{"from HTTP/2", hop.HTTP2, hop.HTTP11, message.GET, "websocket", "", true, true, false},
		{"from HTTP/2 with a key", hop.HTTP2, hop.HTTP11, message.GET, "websocket", "a", true, true, false},
		{"another protocol from HTTP/2", hop.HTTP2, hop.HTTP11, message.GET, "foo", "", true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var x filter.Exchange
			r := &x.Request
			r.Version, r.Method, r.Upgrade = tt.from, tt.method, true
			if tt.content {
				r.Framing, r.Length = message.ByLength, 5
			}
			r.Add(message.Upgrade, "upgrade", tt.protocol)
			if tt.key != "" {
				r.Add(message.Unknown, "Sec-WebSocket-Key", tt.key)
			}
			upgrade(&x, tt.to)
			key, keys := r.Lookup(webSocketKey)
			if r.Upgrade != tt.upgrades || keys != tt.keys || tt.key != "" && string(key) != tt.key {
				t.Errorf("upgrade %t, key %q", r.Upgrade, key)
			}
			if tt.key == "" && keys && len(key) != 24 {
				t.Errorf("the key %q is not 16 bytes in base64", key)
			}
		})
	}
}

// TestAcceptWebSocket by the example of RFC 6455 section 1.3.
func TestAcceptWebSocket(t *testing.T) {
	var x filter.Exchange
	x.Request.Version, x.Request.Upgrade, x.Response.Status = hop.HTTP11, true, 101
	x.Request.Add(message.Upgrade, "Upgrade", "websocket")
	x.Request.Add(message.Unknown, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	acceptWebSocket(&x, hop.HTTP2)
	if got, _ := x.Response.Lookup(webSocketAccept); string(got) != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept %q", got)
	}
}
