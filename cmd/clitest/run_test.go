package clitest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// named starts a server that answers with its name.
func named(t *testing.T, name string) string {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

func TestRunInFrontOfOne(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"", "http://"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			backend := scheme + named(t, "one")
			if scheme != "" {
				backend += "/"
			}
			p := runProxy(t, backend)
			resp, body := get(t, p.url())
			if resp.StatusCode != 200 || body != "one" {
				t.Errorf("status %d, content %q", resp.StatusCode, body)
			}
			if status := resp.Header.Get("Proxy-Status"); status != "web" {
				t.Errorf("Proxy-Status: %q, want web", status)
			}
			p.drained()
			if strings.Contains(p.stderr.String(), "level=WARN") || strings.Contains(p.stderr.String(), "level=ERROR") {
				t.Errorf("the log complains:\n%s", p.stderr.String())
			}
		})
	}
}

// TestRunTakesTurns has one client ask several endpoints.
func TestRunTakesTurns(t *testing.T) {
	t.Parallel()
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	for name, args := range map[string][]string{
		"commas":      proxyArgs(a + ",http://" + b + "," + c),
		"a space too": proxyArgs(a + ", " + b + ", " + c),
		"flags":       proxyArgs(a, "--to="+b, "--to="+c),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, args...)
			client, served := newClient(t), ""
			for range 12 {
				_, body, err := tryGet(client, http.MethodGet, p.url())
				if err != nil {
					t.Fatal(err)
				}
				served += body
			}
			if served != strings.Repeat(served[:3], 4) {
				t.Errorf("they did not take turns: %s", served)
			}
			for _, name := range []string{"a", "b", "c"} {
				if n := strings.Count(served, name); n != 4 {
					t.Errorf("%s served %d of 12", name, n)
				}
			}
		})
	}
}

// TestRunFailure shows what a caller sees if the service is not there.
func TestRunFailure(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	p := start(t, "run", "--listen=127.0.0.1:0", "--to="+gone.Listener.Addr().String(), "--admin=off", "--service=my shop")
	resp, _ := get(t, p.url())
	status := resp.Header.Get("Proxy-Status")
	if resp.StatusCode != 503 || !strings.HasPrefix(status, `"my shop";error=connection_refused`) {
		t.Errorf("status %d, Proxy-Status: %s", resp.StatusCode, status)
	}
	p.drained()
	lines := accessLines(p.stdout.String())
	if len(lines) != 1 || lines[0]["service"] != "my shop" || lines[0]["flags"] != "UF" {
		t.Errorf("access log: %v", lines)
	}
}

// TestRunEgress has a client use the forward proxy as an application does that
// was started with HTTP_PROXY and HTTPS_PROXY.
func TestRunEgress(t *testing.T) {
	t.Parallel()
	plain := named(t, "plain")
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "secure") }))
	t.Cleanup(secure.Close)
	p := start(t, "run", "--egress=127.0.0.1:0", "--admin=127.0.0.1:0", "--service=shop")
	proxy := &url.URL{Scheme: "http", Host: p.address("egress")}
	client := newClient(t)
	transport := client.Transport.(*http.Transport)
	transport.Proxy = http.ProxyURL(proxy)
	transport.TLSClientConfig = &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}

	resp, body, err := tryGet(client, http.MethodGet, "http://"+plain+"/path?q=1")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || body != "plain" || resp.Header.Get("Proxy-Status") != "shop" {
		t.Errorf("status %d, content %q, Proxy-Status %q", resp.StatusCode, body, resp.Header.Get("Proxy-Status"))
	}
	_, body, err = tryGet(client, http.MethodGet, secure.URL)
	if err != nil || body != "secure" {
		t.Errorf("through the tunnel: %q, %v", body, err)
	}
	transport.CloseIdleConnections()
	p.drained()
	directions := map[any]string{}
	for _, line := range accessLines(p.stdout.String()) {
		directions[line["method"]] = fmt.Sprint(line["direction"], " ", line["service"], " ", line["status"])
	}
	if directions["GET"] != "outbound shop 200" || directions["CONNECT"] != "outbound shop 200" {
		t.Errorf("access log:\n%s", p.stdout.String())
	}
}

// TestRunBoth runs both sides of a sidecar.
func TestRunBoth(t *testing.T) {
	t.Parallel()
	p := runProxy(t, named(t, "x"), "--egress=127.0.0.1:0")
	if p.address("ingress") == p.address("egress") {
		t.Error("both listen at one address")
	}
	if direction := p.find(`listener=egress .*direction=(\S+)`); direction != "outbound" {
		t.Errorf("the forward proxy's direction is %s", direction)
	}
	if direction := p.find(`listener=ingress .*direction=(\S+)`); direction != "inbound" {
		t.Errorf("the listener's direction is %s", direction)
	}
}

func TestRunAdmin(t *testing.T) {
	t.Parallel()
	t.Run("port 0", func(t *testing.T) {
		t.Parallel()
		p := runProxy(t, named(t, "x"))
		resp, body := get(t, p.admin()+"/ready")
		if resp.StatusCode != 200 || !strings.Contains(body, "ready") {
			t.Errorf("/ready: status %d, %q", resp.StatusCode, body)
		}
		if _, body := get(t, p.admin()+"/server_info"); !strings.Contains(body, testVersion) || !strings.Contains(body, `"web"`) {
			t.Errorf("/server_info: %s", body)
		}
		if _, body := get(t, p.admin()+"/metrics"); !strings.Contains(body, testVersion) {
			t.Errorf("/metrics do not name the version %s", testVersion)
		}
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		p := runProxy(t, named(t, "x"), "--admin=off")
		get(t, p.url())
		p.drained()
		if strings.Contains(p.stderr.String(), "admin API") {
			t.Errorf("there is one:\n%s", p.stderr.String())
		}
	})
}

// TestRunAddressInUse: if an address is taken, the error names it, and what to do.
func TestRunAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	addr := taken.Addr().String()
	for name, args := range map[string][]string{
		"listen": {"--listen=" + addr, "--to=127.0.0.1:1", "--admin=off"},
		"egress": {"--egress=" + addr, "--admin=off"},
		"admin":  {"--egress=127.0.0.1:0", "--admin=" + addr},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := hopscope(t, append([]string{"run"}, args...)...)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, want := range []string{addr, "in use", "choose another"} {
				if !strings.Contains(stderr, want) {
					t.Errorf("the error has no %q: %s", want, stderr)
				}
			}
		})
	}
}
