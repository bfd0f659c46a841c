package consul_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/discovery/consul"
)

// The environment that other clients of Consul heed has no say.
func TestIgnoresTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"CONSUL_HTTP_ADDR": "192.0.2.1:1", "CONSUL_HTTP_TOKEN": "secret", "CONSUL_HTTP_TOKEN_FILE": "/nowhere/token",
		"CONSUL_HTTP_AUTH": "me:secret", "CONSUL_HTTP_SSL": "true", "CONSUL_NAMESPACE": "ns", "CONSUL_PARTITION": "p",
		"CONSUL_CACERT": "/nowhere/ca", "HTTP_PROXY": "http://192.0.2.1:1",
	} {
		t.Setenv(name, value)
	}
	f, client := startFake(t, answer(7, oneWeb))
	follow(t, client, consul.Options{Service: "web"}).await(t, "there", is("127.0.0.1:80 healthy"))
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.headers[0]; h.Get("X-Consul-Token") != "" || h.Get("Authorization") != "" {
		t.Errorf("the request says who asks: %v", h)
	}
	if q := f.asked[0].Encode(); q != "" {
		t.Errorf("the request has parameters: %s", q)
	}
}

func TestSaysWhoAsks(t *testing.T) {
	f := &fake{answers: []func(http.ResponseWriter){answer(7, oneWeb)}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client := dial(t, consul.Connection{Address: server.URL, Token: "secret"})
	follow(t, client, consul.Options{Service: "web", Namespace: "n", Partition: "p"}).await(t, "there", is("127.0.0.1:80 healthy"))
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := f.headers[0].Get("X-Consul-Token"); got != "secret" {
		t.Errorf("token %q", got)
	}
	if q := f.asked[0].Encode(); q != "ns=n&partition=p" {
		t.Errorf("parameters %s", q)
	}
}

func TestAddresses(t *testing.T) {
	f := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("index") != "" {
			<-r.Context().Done()
			return
		}
		answer(7, oneWeb)(w)
	})
	plain := httptest.NewServer(f)
	secure := httptest.NewTLSServer(f)
	socket := httptest.NewUnstartedServer(f)
	path := filepath.Join(t.TempDir(), "consul.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	socket.Listener.Close()
	socket.Listener = l
	socket.Start()
	for _, s := range []*httptest.Server{plain, secure, socket} {
		t.Cleanup(s.Close)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []consul.Connection{
		{Address: strings.TrimPrefix(plain.URL, "http://")},
		{Address: plain.URL},
		{Address: plain.URL + "/"},
		{Address: "unix://" + path},
		{Address: secure.URL, TLS: consul.TLS{CA: ca}},
		{Address: secure.URL, TLS: consul.TLS{CA: ca, ServerName: "example.com"}},
		{Address: secure.URL, TLS: consul.TLS{Insecure: true}},
	} {
		follow(t, dial(t, c), consul.Options{Service: "web"}).await(t, "there by "+c.Address, is("127.0.0.1:80 healthy"))
	}
	for _, c := range []consul.Connection{
		{Address: secure.URL},
		{Address: secure.URL, TLS: consul.TLS{CA: ca, ServerName: "elsewhere.test"}},
		{Address: "unix:///nowhere/consul.sock"},
	} {
		follow(t, dial(t, c), consul.Options{Service: "web"}).await(t, "refused", stale(""))
	}
}

func TestRefusesConnections(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		connection consul.Connection
		says       string
	}{
		{consul.Connection{Address: "ftp://127.0.0.1"}, "of an unknown kind"},
		{consul.Connection{Address: "http://me:hunter2@127.0.0.1:8500"}, "must not hold a password"},
		{consul.Connection{Address: "me:hunter2@127.0.0.1:8500"}, "must not hold a password"},
		{consul.Connection{Address: "http://127.0.0.1:8500/consul"}, "must end with the port"},
		{consul.Connection{Address: "http://:8500"}, "has no host"},
		{consul.Connection{Address: "unix://consul.sock"}, "no absolute path"},
		{consul.Connection{Address: "127.0.0.1:x"}, "cannot be read"},
		{consul.Connection{Token: "hunter2\nhunter2"}, "one word"},
		{consul.Connection{Token: "a", TokenFile: "b"}, "leave one out"},
		{consul.Connection{TokenFile: filepath.Join(dir, "nowhere")}, "no such file"},
		{consul.Connection{TokenFile: file("empty", "\n")}, "is empty"},
		{consul.Connection{TokenFile: file("words", "hunter2 hunter2")}, "one word"},
		{consul.Connection{TokenFile: file("long", strings.Repeat("hunter2", 1000))}, "at most"},
		{consul.Connection{TLS: consul.TLS{Insecure: true}}, "begin it with https://"},
		{consul.Connection{Address: "https://a", TLS: consul.TLS{CA: filepath.Join(dir, "nowhere")}}, "no such file"},
		{consul.Connection{Address: "https://a", TLS: consul.TLS{CA: file("ca", "none")}}, "no certificate"},
		{consul.Connection{Address: "https://a", TLS: consul.TLS{Cert: "a"}}, "together"},
		{consul.Connection{Address: "https://a", TLS: consul.TLS{Cert: "a", Key: "b"}}, "no such file"},
	} {
		_, err := consul.NewClient(tt.connection)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v, want an error that says %q, and no secret", tt.connection, err, tt.says)
		}
	}
}

func TestRefusesOptions(t *testing.T) {
	client := dial(t, consul.Connection{})
	for _, tt := range []struct {
		options consul.Options
		says    string
	}{
		{consul.Options{}, "either a service or a prepared query"},
		{consul.Options{Service: "a", Query: "b"}, "either a service or a prepared query"},
		{consul.Options{Service: "a/b"}, "no slash"},
		{consul.Options{Service: ".."}, "no name"},
		{consul.Options{Query: "a", Tags: []string{"b"}}, "into the prepared query itself"},
		{consul.Options{Service: "a", Failover: []string{"b", ""}}, "datacenter 2 has no name"},
		{consul.Options{Service: "a", Wait: 11 * 60e9}, "10m0s at most"},
		{consul.Options{Service: "a", Grace: -1}, "grace"},
	} {
		if _, err := client.Service(tt.options); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v, want an error that says %q", tt.options, err, tt.says)
		}
	}
}
