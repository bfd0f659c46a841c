package admin

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"

	"github.com/a-h/templ"
)

//go:embed style.css
var pageStyle string

// pagePolicy lets a browser use the pages' style and nothing else: no script, no other
// origin.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// page answers with a page.
func (a *api) page(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.WriteHeader(status)
	body := bufio.NewWriterSize(w, piece) // the page is never in memory as a whole
	err := page.Render(r.Context(), body)
	gone := body.Flush() // why writing to the client failed, now or before
	if err != nil && gone == nil {
		a.Log.Error("admin: rendering a page failed", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler) // the client has half of it, and must not take it for all
	}
}

// titled is the attribute of an element whose text has an explanation, if it has one.
func titled(text string) templ.Attributes {
	if text == "" {
		return nil
	}
	return templ.Attributes{"title": text}
}
