package retry_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// answersRaw is an endpoint that answers with these bytes as soon as it has heard
// anything, and then closes if it is told to.
func answersRaw(t *testing.T, first string, closes bool) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				if _, err := c.Read(b); err != nil {
					return
				}
				io.WriteString(c, first)
				if !closes {
					io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// An endpoint that speaks something else than the cluster says so with its first
// bytes: the error names the key to set.
func TestEndpointSpeaksSomethingElse(t *testing.T) {
	proxytest.NoLeaks(t)
	var settings, goAway strings.Builder
	if err := http2.NewFramer(&settings, nil).WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}); err != nil {
		t.Fatal(err)
	}
	if err := http2.NewFramer(&goAway, nil).WriteGoAway(0, http2.ErrCodeProtocol, []byte("not HTTP/2")); err != nil {
		t.Fatal(err)
	}
	empty := "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // SETTINGS without any
	alert := "\x15\x03\x03\x00\x02\x02\x46"
	g := grpc.NewServer()
	gl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go g.Serve(gl)
	t.Cleanup(g.Stop)

	speaksHTTP2 := "speaks HTTP/2, but was sent HTTP/1: set protocol to http2 for cluster web"
	speaksTLS := "speaks TLS, but was sent plain text: set tls for cluster web"
	for _, tt := range []struct{ name, address, protocol, want string }{
		{"SETTINGS, and waits", answersRaw(t, settings.String(), false), "http1", speaksHTTP2},
		{"no settings, and waits", answersRaw(t, empty, false), "auto", speaksHTTP2},
		{"SETTINGS, and closes", answersRaw(t, settings.String(), true), "http1", speaksHTTP2},
		{"GOAWAY, and closes", answersRaw(t, goAway.String(), true), "http1", speaksHTTP2},
		{"a gRPC server", gl.Addr().String(), "http1", speaksHTTP2},
		{"an alert of TLS", answersRaw(t, alert, true), "http1", speaksTLS},
		{"an alert of TLS, and waits", answersRaw(t, alert, false), "http1", speaksTLS},
		{"an alert of TLS to HTTP/2", answersRaw(t, alert, true), "http2", speaksTLS},
		{"HTTP/1.1 to HTTP/2", proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {}), "http2",
			"speaks HTTP/1, but was sent HTTP/2: set protocol to http1 for cluster web"},
		{"an older HTTP to HTTP/2", answersRaw(t, "HTTP/1.0 400 Bad Request\r\n\r\n", true), "http2",
			"speaks HTTP/1, but was sent HTTP/2: set protocol to http1 for cluster web"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := proxytest.StartYAML(t, fmt.Sprintf(`
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web, timeout: 3s}]}]
clusters: {web: {endpoints: [%q], protocol: %s}}
`, tt.address, tt.protocol))
			status, body := l.AskHost("", "/")
			if status != 502 || !proxytest.ContainsAll(body, "(UPE)", tt.want) {
				t.Errorf("%d %s, want 502, UPE and %q", status, body, tt.want)
			}
		})
	}
}
