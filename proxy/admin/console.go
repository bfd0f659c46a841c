package admin

import (
	"net/http"
	"strings"

	"github.com/hopscope/hopscope/dashboards/console"
)

// serveConsole serves the web console.
func serveConsole() http.HandlerFunc {
	return http.StripPrefix("/console", console.Handler()).ServeHTTP
}

// toConsole leads browsers that ask for "/" to the console, which asks for a token itself
// where one is wanted. The address is relative, for whoever serves the API below a path.
func toConsole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
		if r.URL.Path == "/" && isRead && r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Location", "console/")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}
