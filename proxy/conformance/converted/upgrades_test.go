package converted_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// The handshake of RFC 6455, section 1.3.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// change changes to the protocol that a request asks for, and then sends back what comes.
func change(w http.ResponseWriter, protocol string) {
	c, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\nSec-WebSocket-Accept: "+handshakeAccept+"\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

// upgraded is what comes of a request to change to a protocol.
type upgraded struct {
	Status int
	Echo   string // of what was sent behind a status of 101
}

func askUpgrade(t *testing.T, address, target, protocol string) (u upgraded) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(proxytest.Deadline())
	if _, err := io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\nSec-WebSocket-Key: "+handshakeKey+"\r\nSec-WebSocket-Version: 13\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%s, %s: %v", target, protocol, err)
	}
	defer resp.Body.Close()
	if u.Status = resp.StatusCode; u.Status != http.StatusSwitchingProtocols {
		return u
	}
	if got := resp.Header.Get("Upgrade"); !strings.EqualFold(got, protocol) {
		t.Errorf("%s, %s: it changed to %q", target, protocol, got)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 5)
	if _, err := io.ReadFull(r, echo); err != nil {
		t.Fatalf("%s, %s: %v", target, protocol, err)
	}
	u.Echo = string(echo)
	return u
}

var passes, refused, ignored = upgraded{101, "hello"}, upgraded{Status: 403}, upgraded{Status: 200}

// upgradeCase is a request to change to a protocol, and what comes of it with both proxies.
type upgradeCase struct {
	target, protocol string
	want             upgraded
}

func sameUpgrades(t *testing.T, original, ours string, cases []upgradeCase) {
	t.Helper()
	for _, tt := range cases {
		for name, address := range map[string]string{"the original": original, "hopscope": ours} {
			if got := askUpgrade(t, address, tt.target, tt.protocol); got != tt.want {
				t.Errorf("%s, %s on %s: %+v, want %+v", tt.target, tt.protocol, name, got, tt.want)
			}
		}
	}
}

func TestEnvoyUpgrades(t *testing.T) {
	for listener, cases := range map[string][]upgradeCase{
		"web": {
			{"/", "websocket", passes}, {"/", "WebSocket", passes}, {"/", "spdy/3.1", refused}, {"/", "other", refused}, {"/", "h2c", ignored},
			{"/closed", "websocket", refused}, {"/exec", "websocket", passes}, {"/exec", "spdy/3.1", passes},
		},
		"plain": {{"/", "websocket", refused}, {"/", "h2c", ignored}, {"/open/x", "websocket", passes}, {"/open/x", "spdy/3.1", refused}},
	} {
		original, ours := envoyRuns(t, "envoy/upgrades.in", listener, map[string]string{"3001": "a"}, nil)
		sameUpgrades(t, original, ours, cases)
	}
}

func TestHAProxyUpgrades(t *testing.T) {
	original, ours := haproxyRuns(t, "haproxy/sessions.in", "web", "127.0.0.1:10000", map[string]string{"3001": "a", "3002": "b", "3003": "c"}, nil)
	sameUpgrades(t, original, ours, []upgradeCase{
		{"/", "websocket", passes}, {"/table", "other/1", passes}, {"/closed/x", "websocket", refused},
	})
}
