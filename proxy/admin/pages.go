package admin

import (
	"bytes"
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

// newPages parses the embedded templates; a mistake in them is one of the
// build, and panics in every test.
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
	var body bytes.Buffer
	if err := a.pages.templates.ExecuteTemplate(&body, name, data); err != nil {
		a.Log.Error("admin: page not made", "page", name, "error", err)
		writeError(w, http.StatusInternalServerError, "the page could not be made: "+err.Error(), "ask with ?format=json")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", a.pages.policy)
	w.WriteHeader(status)
	// An error here means that the client went away.
	_, _ = w.Write(body.Bytes())
}
