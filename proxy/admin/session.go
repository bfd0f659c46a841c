package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	// sessionTime is how long a session lasts, and maxSessions how many there are: the oldest
	// makes room.
	sessionTime = 12 * time.Hour
	maxSessions = 1000
	// maxSignIn is how many bytes a request to sign in has at most.
	maxSignIn = 8 << 10
	// headerCSRF is what a page shows that it can read answers of this origin with: without it
	// nothing is changed by a session.
	headerCSRF = "Hopscope-CSRF"
)

// sum is the hash of a secret. Secrets themselves are not kept.
type sum = [sha256.Size]byte

// session is what a browser that signed in may do: what its token may, as long as that is
// one of those in the files.
type session struct {
	token   sum
	csrf    string
	expires time.Time
}

// sessions are those who signed in, by the hash of what their cookie has.
type sessions struct {
	mu       sync.Mutex
	all      map[sum]*session
	attempts attempts
}

func newSessions() *sessions {
	return &sessions{all: map[sum]*session{}, attempts: attempts{all: map[netip.Addr]*bucket{}}}
}

// begin makes a session, and returns what its cookie has.
func (s *sessions) begin(token string, now time.Time) (id string, made *session) {
	id = rand.Text()
	made = &session{token: sha256.Sum256([]byte(token)), csrf: rand.Text(), expires: now.Add(sessionTime)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions {
		s.makeRoom(now)
	}
	s.all[sha256.Sum256([]byte(id))] = made
	return id, made
}

// makeRoom forgets the sessions that are over, or else the oldest.
func (s *sessions) makeRoom(now time.Time) {
	var oldest sum
	var first time.Time
	for id, one := range s.all {
		if now.After(one.expires) {
			delete(s.all, id)
		} else if first.IsZero() || one.expires.Before(first) {
			oldest, first = id, one.expires
		}
	}
	if len(s.all) >= maxSessions {
		delete(s.all, oldest)
	}
}

// of returns the session of a request; nil if it has none.
func (s *sessions) of(r *http.Request, now time.Time) *session {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil
	}
	id := sha256.Sum256([]byte(cookie.Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[id]
	if one != nil && now.After(one.expires) {
		delete(s.all, id)
		return nil
	}
	return one
}

// end forgets the session of a request.
func (s *sessions) end(r *http.Request) {
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, sha256.Sum256([]byte(cookie.Value)))
	}
}

// cookieName is the name of the session's cookie. Browsers send cookies to all ports of a
// host, so each admin API of a host has another one.
func cookieName(r *http.Request) string {
	name := "hopscope"
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		name += "-" + strconv.Itoa(local.Port)
	}
	if r.TLS != nil {
		name = "__Host-" + name // RFC 6265bis: of this host alone, and over TLS only
	}
	return name
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, age time.Duration) {
	c := &http.Cookie{Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode, MaxAge: int(age.Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// sessionRole returns what the session of a request may do, and the session. It may nothing
// once its token is in no file any more.
func (a *api) sessionRole(r *http.Request) (Role, *session) {
	if a.Access == nil {
		return Nobody, nil
	}
	s := a.sessions.of(r, time.Now())
	if s == nil {
		return Nobody, nil
	}
	return a.Access.tokenRole(s.token), s
}

// sessionAnswer is what /v1/session answers.
type sessionAnswer struct {
	// SignedIn says whether the client may read: by a session, or since it may anyway.
	SignedIn bool     `json:"signed_in"`
	Roles    []string `json:"roles"`
	// TokenWanted says whether a token, or a certificate, is asked for.
	TokenWanted bool `json:"token_wanted"`
	// CSRF is what requests of the session that change something have in Hopscope-CSRF.
	CSRF string `json:"csrf"`
}

// session answers /v1/session: who the client is, and how a browser signs in and out.
func (a *api) session(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		a.signIn(w, r)
	case http.MethodDelete:
		if a.isForged(r) {
			writeForged(w)
			return
		}
		a.sessions.end(r)
		setCookie(w, r, "", 0)
		w.WriteHeader(http.StatusNoContent)
	default:
		role, _ := a.role(r)
		_, s := a.sessionRole(r)
		a.writeSession(w, role, s)
	}
}

func (a *api) writeSession(w http.ResponseWriter, role Role, s *session) {
	answer := sessionAnswer{SignedIn: role >= Reader, Roles: []string{}, TokenWanted: a.Access != nil}
	if role >= Reader {
		answer.Roles = append(answer.Roles, "read")
	}
	if role >= Controller {
		answer.Roles = append(answer.Roles, "control")
	}
	if s != nil && role >= Reader {
		answer.CSRF = s.csrf
	}
	writeJSON(w, http.StatusOK, answer)
}

// signIn begins a session for who shows a token.
func (a *api) signIn(w http.ResponseWriter, r *http.Request) {
	var shown struct{ Token string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&shown); err != nil || shown.Token == "" {
		writeError(w, http.StatusBadRequest, "this has no token", `POST {"token": "..."}`)
		return
	}
	if a.Access == nil {
		writeError(w, http.StatusConflict, "no token is asked for here", "everyone who reaches this address may read and control")
		return
	}
	now := time.Now()
	if !a.sessions.attempts.may(clientOf(r), now) {
		a.Access.Refused("paced")
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusTooManyRequests, "too many wrong tokens from this address", "wait a few seconds")
		return
	}
	role := a.Access.tokenRole(sha256.Sum256([]byte(shown.Token)))
	if role == Nobody {
		a.sessions.attempts.failed(clientOf(r), now)
		a.Access.Refused("wrong_token")
		a.Log.Warn("admin: somebody tried to sign in with a wrong token", "from", r.RemoteAddr)
		a.challenge(w, r)
		writeError(w, http.StatusUnauthorized, "this token is not known here", "it is one of admin.token_file, admin.control_token_file or mesh.token_file")
		return
	}
	a.sessions.end(r) // that of before: a session never goes on with other rights
	id, s := a.sessions.begin(shown.Token, now)
	setCookie(w, r, id, sessionTime)
	a.writeSession(w, role, s)
}

// isForged reports whether a request that would change something comes with a session, but
// without showing that it comes from a page that can read what this origin answers.
func (a *api) isForged(r *http.Request) bool {
	if a.Access == nil || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get("Authorization") != "" {
		return false
	}
	_, s := a.sessionRole(r)
	return s != nil && subtle.ConstantTimeCompare([]byte(r.Header.Get(headerCSRF)), []byte(s.csrf)) != 1
}

func writeForged(w http.ResponseWriter) {
	writeError(w, http.StatusForbidden, "this does not come from the console: it lacks the header "+headerCSRF, "GET /v1/session has its value, csrf")
}

// clientOf is the address of a client.
func clientOf(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	addr := at.Addr().Unmap()
	if addr.Is6() { // who has one address of a network has all
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// attempts paces wrong tokens: a client has attemptsAtOnce, and one more each attemptEvery.
type attempts struct {
	mu  sync.Mutex
	all map[netip.Addr]*bucket
}

const (
	attemptsAtOnce = 5
	attemptEvery   = 5 * time.Second
	// maxClients is how many clients are told apart; the others share their attempts.
	maxClients = 1024
)

// bucket is how many wrong tokens a client showed, less those that time has made good.
type bucket struct {
	wrong float64
	at    time.Time
}

// left is what counts of them now.
func (b *bucket) left(now time.Time) float64 {
	return max(b.wrong-float64(now.Sub(b.at))/float64(attemptEvery), 0)
}

// may reports whether a client may show another token.
func (a *attempts) may(client netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.of(client, now)
	return b == nil || b.left(now) <= attemptsAtOnce-1
}

// failed notes a wrong token.
func (a *attempts) failed(client netip.Addr, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.of(client, now)
	if b == nil {
		b = &bucket{at: now}
		if len(a.all) >= maxClients {
			client = netip.Addr{}
		}
		a.all[client] = b
	}
	b.wrong, b.at = b.left(now)+1, now
}

// of finds the bucket of a client; nil for none.
func (a *attempts) of(client netip.Addr, now time.Time) *bucket {
	if b := a.all[client]; b != nil {
		return b
	}
	if len(a.all) < maxClients {
		return nil
	}
	for other, b := range a.all {
		if b.left(now) == 0 {
			delete(a.all, other)
		}
	}
	if len(a.all) < maxClients {
		return nil
	}
	return a.all[netip.Addr{}]
}
