// Package console has the web console: the page that shows what the admin APIs of a mesh
// know, as it is built from the npm project in this folder (README.md). It holds no data:
// the page asks the API under /v1/ for all that it shows.
//
//	mux.Handle("/console/", http.StripPrefix("/console", console.Handler()))
//
// Start reading at [Handler].
package console
