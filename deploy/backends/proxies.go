package backends

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
)

// ProxyServer is a running HAProxy, nginx or Envoy.
type ProxyServer struct {
	*Process
	addresses map[string]string
}

// Addr is the host:port that stands where the configuration says {{addr "name"}}, or that of
// an Envoy's listener. It panics for a name that the configuration does not hold.
func (p *ProxyServer) Addr(name string) string {
	address, ok := p.addresses[name]
	if !ok {
		panic(fmt.Sprintf("the configuration holds no address %q", name))
	}
	return address
}

// HAProxy starts an HAProxy for the test. The config is a whole haproxy.cfg, in which
// {{addr "name"}} stands for a free address to listen on, the same one for the same
// name; Addr tells it. HAProxy is ready when all of them take connections.
func HAProxy(tb testing.TB, config string) *ProxyServer {
	tb.Helper()
	path := Require(tb, "haproxy")
	file := filepath.Join(tb.TempDir(), "haproxy.cfg")
	return startProxy(tb, "haproxy", config, func(rendered string) (command, error) {
		// -db: stay in the foreground, one process.
		return command{path: path, args: []string{"-db", "-f", file}}, os.WriteFile(file, []byte(rendered), 0o644)
	})
}

// Nginx starts an nginx for the test. The config is what stands within http { }, as a
// rule one or more server blocks, with {{addr "name"}} as in HAProxy.
func Nginx(tb testing.TB, config string) *ProxyServer {
	tb.Helper()
	path := Require(tb, "nginx")
	dir := tb.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	// One process in the foreground that touches nothing outside dir.
	const frame = `daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi; scgi_temp_path scgi;
%s
}
`
	return startProxy(tb, "nginx", config, func(rendered string) (command, error) {
		args := []string{"-p", dir, "-e", "stderr", "-c", file}
		return command{path: path, args: args}, os.WriteFile(file, fmt.Appendf(nil, frame, rendered), 0o644)
	})
}

// startProxy renders the configuration for each try, on fresh addresses, and has
// prepare store it and say how to run the proxy with it.
func startProxy(tb testing.TB, name, config string, prepare func(rendered string) (command, error)) *ProxyServer {
	tb.Helper()
	p := new(ProxyServer)
	p.Process = start(tb, name, func() (command, error) {
		rendered, addresses, err := render(config)
		if err != nil {
			return command{}, err
		}
		c, err := prepare(rendered)
		if err != nil {
			return command{}, err
		}
		p.addresses = addresses
		c.listens = slices.Collect(maps.Values(addresses))
		c.ready = accepts(c.listens)
		return c, nil
	})
	return p
}

// render fills in the addresses of a configuration and returns them by their names.
func render(config string) (rendered string, addresses map[string]string, err error) {
	const most = 8 // names in one configuration
	free, err := freeAddresses(most)
	if err != nil {
		return "", nil, err
	}
	addresses = make(map[string]string)
	addr := func(name string) (string, error) {
		if _, ok := addresses[name]; !ok {
			if len(addresses) == most {
				return "", fmt.Errorf("more than %d different addresses", most)
			}
			addresses[name] = free[len(addresses)]
		}
		return addresses[name], nil
	}
	t, err := template.New("config").Funcs(template.FuncMap{"addr": addr}).Parse(config)
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", nil, err
	}
	if len(addresses) == 0 {
		return "", nil, fmt.Errorf(`the configuration listens nowhere: it holds no {{addr "name"}}`)
	}
	return b.String(), addresses, nil
}
