package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func get(h http.Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPageUsesWhatIsThere loads the page that is embedded as a browser would: each file
// that it names is there, and its policy allows it.
func TestPageUsesWhatIsThere(t *testing.T) {
	h := Handler()
	page := get(h, "/")
	html := read(t, page.Body)
	if page.StatusCode != 200 || page.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(html, "<title>hopscope") {
		t.Fatalf("%s, %v\n%s", page.Status, page.Header, html)
	}
	names := regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(names) == 0 {
		t.Errorf("the page names no file:\n%s", html)
	}
	for _, name := range names {
		got := get(h, "/"+name[1])
		if got.StatusCode != 200 || strings.HasPrefix(got.Header.Get("Content-Type"), "application/octet-stream") {
			t.Errorf("%s: %s, %v", name[1], got.Status, got.Header)
		}
		if immutable := strings.Contains(got.Header.Get("Cache-Control"), "immutable"); immutable != strings.HasPrefix(name[1], "assets/") {
			t.Errorf("%s: %v", name[1], got.Header)
		}
	}
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style|style=|\son\w+=`).FindString(html); inline != "" {
		t.Errorf("the policy forbids %q in\n%s", inline, html)
	}
}

func TestServe(t *testing.T) {
	script := strings.Repeat("console.log(1);\n", 100)
	h := serve(fstest.MapFS{
		"index.html":         {Data: []byte("<p>hello")},
		"assets/a-123456.js": {Data: []byte(script)},
		"a.bin":              {Data: []byte(strings.Repeat("x", 1000))},
	})
	packed := get(h, "/assets/a-123456.js", "Accept-Encoding", "br, gzip;q=0.5")
	unpacked, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v", packed.Header, err)
	}
	if read(t, unpacked) != script {
		t.Error("the content is another one")
	}
	plain := get(h, "/assets/a-123456.js", "Accept-Encoding", "gzip;q=0")
	if read(t, plain.Body) != script || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("%v", plain.Header)
	}
	if a, b := packed.Header.Get("ETag"), plain.Header.Get("ETag"); a == b || a == "" {
		t.Errorf("ETags %s and %s", a, b)
	}
	if again := get(h, "/assets/a-123456.js", "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("again: %s", again.Status)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "text/javascript; charset=utf-8", "Vary": "Accept-Encoding",
	} {
		if got := packed.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := get(h, "/a.bin", "Accept-Encoding", "gzip"); got.Header.Get("Content-Encoding") != "" || got.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("a file of no known kind: %v", got.Header)
	}
	for _, path := range []string{"/assets", "/assets/", "/nothing", "/../console.go", "/package.json"} {
		if got := get(h, path); got.StatusCode != 404 || strings.Contains(read(t, got.Body), "<") {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for field, want := range map[string]bool{
		"": false, "gzip": true, "deflate, GZIP": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.1": true, "gzip; q=1": true, "br": false, "gzipped": false,
	} {
		if acceptsGzip(field) != want {
			t.Errorf("%q: %v", field, !want)
		}
	}
}

// TestScriptIsSmall: what a browser loads at most has 150 KB of script, compressed.
func TestScriptIsSmall(t *testing.T) {
	const most = 150_000
	entries, err := dist.ReadDir("dist/assets")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".js") {
			continue
		}
		content, err := dist.ReadFile("dist/assets/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if packed := newFile(e.Name(), content).pack(); packed != nil {
			content = packed
		}
		size += len(content)
	}
	if size > most || size == 0 {
		t.Errorf("%d bytes of script, at most %d", size, most)
	}
	if bytes.Contains([]byte(policy), []byte("unsafe")) {
		t.Error(policy)
	}
}
