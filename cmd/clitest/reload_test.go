package clitest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// fileFor returns the configuration of a proxy in front of an endpoint.
func fileFor(endpoint string) string {
	return fmt.Sprintf(`service: web
admin: {address: 127.0.0.1:0}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: [%s]}}
`, endpoint)
}

// replace replaces a file by another of its name, as editors do.
func replace(t *testing.T, path, content string) {
	t.Helper()
	next := path + ".next"
	must(t, os.WriteFile(next, []byte(content), 0o600))
	must(t, os.Rename(next, path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answered waits until a client gets this answer. No request may fail meanwhile.
func answered(t *testing.T, client *http.Client, url, want string) {
	t.Helper()
	proxytest.Eventually(t, "an answer of "+want, func() bool {
		_, body, err := tryGet(client, http.MethodGet, url)
		if err != nil {
			t.Fatal(err)
		}
		return body == want
	})
}

// TestReloadFile changes the file in each way that there is.
func TestReloadFile(t *testing.T) {
	t.Parallel()
	one, two := named(t, "one"), named(t, "two")
	for name, change := range map[string]func(t *testing.T, path, content string){
		"written in place": func(t *testing.T, path, content string) { must(t, os.WriteFile(path, []byte(content), 0o600)) },
		"replaced":         replace,
		"removed, and made again": func(t *testing.T, path, content string) {
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, []byte(content), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "hopscope.yaml", fileFor(one))
			p := start(t, "run", "-c", path)
			client, url := newClient(t), p.url()
			answered(t, client, url, "one")
			change(t, path, fileFor(two))
			answered(t, client, url, "two")
			p.find(`because="the file changed" changes="(clusters changed: web)"`)
			p.drained()
		})
	}
}

// TestReloadLinks changes a symbolic link on the way to the file, as Kubernetes
// does with what it mounts.
func TestReloadLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := func(version, content string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, version, "hopscope.yaml"), []byte(content), 0o600))
		must(t, os.Symlink(version, filepath.Join(dir, "..next")))
		must(t, os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
	}
	mount("..1", fileFor(named(t, "one")))
	path := filepath.Join(dir, "hopscope.yaml")
	must(t, os.Symlink(filepath.Join("..data", "hopscope.yaml"), path))
	p := start(t, "run", "-c", path)
	client := newClient(t)
	answered(t, client, p.url(), "one")
	mount("..2", fileFor(named(t, "two")))
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	answered(t, client, p.url(), "two")
	mount("..3", fileFor(named(t, "three")))
	answered(t, client, p.url(), "three")
	p.drained()
}

// TestReloadAsked reloads by a signal and over the admin API: a file that did not change,
// one that did, some with mistakes, and none.
func TestReloadAsked(t *testing.T) {
	t.Parallel()
	one := named(t, "one")
	path := file(t, "hopscope.yaml", fileFor(one))
	p := start(t, "run", "-c", path)
	client, url, admin := newClient(t), p.url(), p.admin()
	post := func() (int, string) {
		t.Helper()
		resp, body, err := tryGet(client, http.MethodPost, admin+"/reload")
		must(t, err)
		return resp.StatusCode, body
	}
	p.signal(syscall.SIGHUP)
	p.find("msg=\"(the configuration has not changed)\" because=SIGHUP")
	if status, body := post(); status != 200 || strings.Contains(body, `"web"`) {
		t.Errorf("nothing changed: status %d, %s", status, body)
	}

	replace(t, path, strings.Replace(fileFor(one), "listeners: [", `listeners: [{name: second, address: "127.0.0.1:0", routes: [{cluster: web}]}, `, 1))
	if status, body := post(); status != 200 {
		t.Errorf("status %d, %s", status, body)
	}
	answered(t, client, "http://"+p.address("second")+"/", "one")
	if _, body := get(t, admin+"/listeners"); !strings.Contains(body, "second") {
		t.Errorf("/listeners: %s", body)
	}

	for content, mistakes := range map[string][]string{
		strings.ReplaceAll(fileFor(one), "cluster:", "clutser:"):                {"hopscope.yaml:3:", "clutser: unknown key", "did you mean"},
		strings.Replace(fileFor(one), "service: web", "service: other", 1):      {"service can't change while running", "hopscope run --upgrade"},
		strings.Replace(fileFor(one), "address: \"127.0.0.1:0\"", "x: \"\"", 1): {"hopscope.yaml:3:"},
	} {
		replace(t, path, content)
		status, body := post()
		if status != 422 {
			t.Errorf("a bad file: status %d", status)
		}
		for _, want := range mistakes {
			if !strings.Contains(body, want) {
				t.Errorf("no %q in %s", want, body)
			}
		}
		p.find("level=ERROR msg=\"(the new configuration was rejected; the old one stays in use)")
		answered(t, client, "http://"+p.address("second")+"/", "one")
		answered(t, client, url, "one")
	}
	must(t, os.Remove(path))
	if status, body := post(); status != 422 || !strings.Contains(body, "no such file") {
		t.Errorf("no file: status %d, %s", status, body)
	}
	p.drained()
}

// TestReloadWithoutFile: a proxy that runs from flags can't reload. SIGHUP, which ends most
// programs, does not end it.
func TestReloadWithoutFile(t *testing.T) {
	t.Parallel()
	p := runProxy(t, named(t, "one"))
	get(t, p.url())
	p.signal(syscall.SIGHUP)
	p.find("level=ERROR .*mistake=\"(there is no file to reload)")
	if resp, body, err := tryGet(newClient(t), http.MethodPost, p.admin()+"/reload"); err != nil || resp.StatusCode != 422 || !strings.Contains(body, "no file") {
		t.Errorf("%v: %s", err, body)
	}
	get(t, p.url())
	p.drained()
}

// TestReloadFlags: after a reload, flags still override the file.
func TestReloadFlags(t *testing.T) {
	t.Parallel()
	one, two := named(t, "one"), named(t, "two")
	path := file(t, "hopscope.yaml", fileFor(one))
	p := start(t, "run", "-c", path, "--service=shop")
	client := newClient(t)
	answered(t, client, p.url(), "one")
	replace(t, path, fileFor(two))
	answered(t, client, p.url(), "two")
	if resp, _ := get(t, p.url()); resp.Header.Get("Proxy-Status") != "shop" {
		t.Errorf("Proxy-Status: %q", resp.Header.Get("Proxy-Status"))
	}
	p.drained()
}

// TestReloadWhileDraining: a SIGHUP during a drain does not count as a second signal to end.
func TestReloadWhileDraining(t *testing.T) {
	t.Parallel()
	backend := newSlow(t)
	p := start(t, "run", "-c", file(t, "hopscope.yaml", fmt.Sprintf(longDrain, backend.address)))
	c := connect(t, p.address("ingress"))
	c.send("/in-flight")
	<-backend.arrived
	p.signal(syscall.SIGTERM)
	p.find("msg=(draining)")
	p.signal(syscall.SIGHUP)
	p.find("level=WARN msg=\"(the configuration was not read)")
	close(backend.release)
	if _, body := c.receive(); body != "at last" {
		t.Errorf("content %q", body)
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("then %v", err)
	}
	c.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestReloadRouteFiles changes the files of routes that a configuration names. A mistake
// in one is told with its name, and the routes before stay.
func TestReloadRouteFiles(t *testing.T) {
	t.Parallel()
	path := file(t, "hopscope.yaml", fileFor(named(t, "one")))
	dir := filepath.Join(filepath.Dir(path), "routes")
	must(t, os.Mkdir(dir, 0o700))
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, fmt.Appendf(text, "routes_from: [%q]\n", dir+"/*.yaml"), 0o600))
	p := start(t, "run", "-c", path)
	client, url := newClient(t), p.url()
	answered(t, client, url, "one")
	answer := func(text string) string { return "routes: [{answer: {body: " + text + "}}]\n" }
	must(t, os.WriteFile(filepath.Join(dir, "b.yaml"), []byte(answer("two")), 0o600))
	answered(t, client, url, "two")
	replace(t, filepath.Join(dir, "b.yaml"), answer("three"))
	answered(t, client, url, "three")
	must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("routes: [{clutser: web}]\n"), 0o600))
	p.find(`routes/a.yaml:1:11: routes\[0\].clutser: unknown key`)
	answered(t, client, url, "three")
	must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(answer("four")), 0o600))
	answered(t, client, url, "four")
	must(t, os.Remove(filepath.Join(dir, "a.yaml")))
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	answered(t, client, url, "one")
	p.drained()
}
