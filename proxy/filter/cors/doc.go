// Package cors is the filter that lets pages of other origins read a route's responses
// (the Fetch standard, "CORS protocol").
//
// It answers preflights, and gives responses the fields that browsers ask for, the proxy's
// own errors too. It refuses nobody: what an origin may read is enforced by the browser.
// Start reading at [New].
package cors
