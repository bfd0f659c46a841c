package admin

import (
	"crypto/sha256"
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
	// "wrong_token" or "role"; "paced" if it may not show another token yet; "forged" if it has
	// a session, but does not come from the console.
	Refused func(reason string)
}

// role returns what the client of a request may do: by the token that it shows, or else by
// its certificate or its session. wrong is true if it has shown a token that nobody has; then
// nothing else counts.
func (a *api) role(r *http.Request) (role Role, wrong bool) {
	if a.Access == nil {
		return Controller, false
	}
	if token, shown := tokenOf(r); shown {
		role = a.Access.tokenRole(sha256.Sum256([]byte(token)))
		return role, role == Nobody
	}
	if a.Access.Certificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		role = a.Access.Certificate(r.TLS)
	}
	of, _ := a.sessionRole(r)
	return max(role, of), false
}

// tokenRole returns what who has a token may do, by the token's hash. Every file is asked,
// so that the time is the same for all.
func (a *Access) tokenRole(token sum) (role Role) {
	if hasToken(a.Read, token) {
		role = Reader
	}
	if hasToken(a.Control, token) {
		role = Controller
	}
	return role
}

func hasToken(files []*mesh.Tokens, token sum) (found bool) {
	for _, f := range files {
		found = f.HasSum(token) || found
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
	role, wrong := a.role(r)
	if role >= needs && a.isForged(r) {
		a.Access.Refused("forged")
		writeForged(w)
		return false
	}
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
	a.challenge(w, r) // the same for both, and for all paths
	writeError(w, http.StatusUnauthorized, "this needs a token", "send Authorization: Bearer TOKEN; the commands have --token-file")
	return false
}

// challenge says how a client can show who it is. A page that asks for JSON is offered no
// Basic: the browser would ask the person for a password before the page can.
func (a *api) challenge(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("WWW-Authenticate", `Bearer realm="hopscope"`)
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Add("WWW-Authenticate", `Basic realm="hopscope", charset="UTF-8"`)
	}
}
