package admin

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed pages
var pageFiles embed.FS

// pages are the templates, and the policy that lets a browser use their style
// and nothing else: no script, no other origin.
type pages struct {
	templates *template.Template
	policy    string
}

// newPages parses the embedded templates. It panics on a mistake in them, which every
// test would show.
func newPages() pages {
	css, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(css)
	t := template.New("").Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(css) }})
	return pages{
		templates: template.Must(t.ParseFS(pageFiles, "pages/*.html")),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// page answers with a template.
func (a *api) page(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", a.pages.policy)
	w.WriteHeader(status)
	body := bufio.NewWriterSize(w, piece) // the page is never in memory as a whole
	err := a.pages.templates.ExecuteTemplate(body, name, data)
	gone := body.Flush() // why writing to the client failed, now or before
	if err != nil && gone == nil {
		a.Log.Error("admin: rendering a page failed", "page", name, "error", err)
		panic(http.ErrAbortHandler) // the client has half of it, and must not take it for all
	}
}
