package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// dist is what the npm project builds; nothing else of its folder is embedded.
//
//go:embed all:dist
var dist embed.FS

// policy lets the page use its own files and ask its own origin, and nothing else: no
// inline script or style, no other origin, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Handler serves the console's files below its root. It is safe for concurrent use.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return serve(files)
}

// serve serves the files of a folder, which do not change.
func serve(files fs.FS) http.Handler {
	all := map[string]*file{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err == nil {
			all["/"+name] = newFile(name, content)
		}
		return err
	})
	if err != nil {
		panic(err) // the files are embedded
	}
	if index := all["/index.html"]; index != nil {
		all["/"] = index
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := all[r.URL.Path]
		if f == nil {
			http.Error(w, "there is no "+path.Base(r.URL.Path)+" here", http.StatusNotFound)
			return
		}
		f.serve(w, r)
	})
}

// file is a file as it is served.
type file struct {
	name, kind, cache, etag string
	content                 []byte
	// packed is the content in gzip, made when somebody first wants it; nil if it is no
	// smaller.
	packed func() []byte
}

func newFile(name string, content []byte) *file {
	sum := sha256.Sum256(content)
	f := &file{name: name, kind: kinds[path.Ext(name)], cache: "no-cache", content: content, etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
	if f.kind == "" {
		f.kind = "application/octet-stream"
	}
	if path.Dir(name) == "assets" { // their names have a hash of what is in them
		f.cache = "public, max-age=31536000, immutable"
	}
	f.packed = sync.OnceValue(f.pack)
	return f
}

// kinds are the media types of files; the machine's own table is not asked.
var kinds = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".md":    "text/plain; charset=utf-8",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

// pack returns the content in gzip, or nil if that is no smaller.
func (f *file) pack() []byte {
	if kind, _, _ := strings.Cut(f.kind, "/"); kind != "text" && f.kind != "image/svg+xml" && f.kind != "application/json" {
		return nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil // not reached: the level is a constant
	}
	_, _ = w.Write(f.content) // a buffer takes everything
	_ = w.Close()
	if packed.Len() >= len(f.content) {
		return nil
	}
	return packed.Bytes()
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", f.cache)
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	content, etag := f.content, f.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		if packed := f.packed(); packed != nil {
			h.Set("Content-Encoding", "gzip")
			content, etag = packed, etag+"-gzip"
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(content))
}

// acceptsGzip reports whether a client takes gzip: RFC 9110 section 12.5.3, but that a
// weight other than 0 counts as 1.
func acceptsGzip(field string) bool {
	for coding := range strings.SplitSeq(field, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.ReplaceAll(weight, " ", "")
			return strings.Trim(weight, "q=0.") != "" || weight == ""
		}
	}
	return false
}
