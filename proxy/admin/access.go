package admin

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/hopscope/hopscope/mesh"
)

// Role is what a client may do.
type Role int

// The roles, each of which may do what those before it may.
const (
	Nobody Role = iota
	Reader
	Controller
)

// Access says who may ask the API for what.
type Access struct {
	// Read and Control are the tokens of readers and controllers.
	Read, Control []*mesh.Tokens
	// Certificate returns the role of a client that has shown a certificate; nil if none is
	// asked for.
	Certificate func(*tls.ConnectionState) Role
	// Ready and Metrics are open to everyone. Nobody else learns why the proxy is not ready.
	Ready, Metrics bool
	// Refused is called for each request that is refused, with the reason: "no_credential",
	// "wrong_token" or "role".
	Refused func(reason string)
}

// role returns what the client of a request may do. wrong is true if it has shown a token
// that nobody has; then a certificate does not count.
func (a *Access) role(r *http.Request) (role Role, wrong bool) {
	if a == nil {
		return Controller, false
	}
	token, shown := tokenOf(r)
	if !shown {
		if a.Certificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			return a.Certificate(r.TLS), false
		}
		return Nobody, false
	}
	// Every file is asked, so that the time is the same for all.
	if hasToken(a.Read, token) {
		role = Reader
	}
	if hasToken(a.Control, token) {
		role = Controller
	}
	return role, role == Nobody
}

func hasToken(files []*mesh.Tokens, token string) (found bool) {
	for _, f := range files {
		found = f.Has(token) || found
	}
	return found
}

// tokenOf returns the token of a request: a Bearer's (RFC 6750 section 2.1), or the
// password of Basic (RFC 7617), which browsers can send.
func tokenOf(r *http.Request) (token string, shown bool) {
	field := r.Header.Get("Authorization")
	if field == "" {
		return "", false
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(field, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return strings.TrimSpace(token), true
}

// admit reports whether the client of a request has a role, and answers the request if not.
func (a *api) admit(w http.ResponseWriter, r *http.Request, needs Role) bool {
	role, wrong := a.Access.role(r)
	if role >= needs {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			w.Header().Set(mesh.HeaderProcess, a.Process)
		}
		if strings.HasPrefix(r.URL.Path, "/v1/peers/") {
			w.Header().Set(mesh.HeaderRelay, "failed") // until the member has answered
		}
		return true
	}
	switch {
	case role != Nobody:
		a.Access.Refused("role")
		hint := "use a token of admin.control_token_file"
		if len(a.Access.Control) == 0 {
			hint = "nobody may: set admin.control_token_file"
		}
		writeError(w, http.StatusForbidden, "whoever sent this may read, but not control", hint)
		return false
	case wrong:
		a.Access.Refused("wrong_token")
	default:
		a.Access.Refused("no_credential")
	}
	// The same for both, and for all paths.
	w.Header().Add("WWW-Authenticate", `Bearer realm="hopscope"`)
	w.Header().Add("WWW-Authenticate", `Basic realm="hopscope", charset="UTF-8"`)
	writeError(w, http.StatusUnauthorized, "this needs a token", "send Authorization: Bearer TOKEN; the commands have --token-file")
	return false
}
