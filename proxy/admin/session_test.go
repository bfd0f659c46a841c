package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh"
)

// signedIn is a browser on an admin API that wants tokens.
type signedIn struct {
	*fixture
	t       *testing.T
	refused map[string]int
	cookie  string
	csrf    string
}

func newSignedIn(t *testing.T, read *mesh.Tokens) *signedIn {
	s := &signedIn{t: t, refused: map[string]int{}}
	s.fixture = newFixture(t, func(o *Options) {
		o.Access = &Access{Read: []*mesh.Tokens{read}, Control: []*mesh.Tokens{tokens(t, controlToken)}, Refused: func(reason string) { s.refused[reason]++ }}
	})
	return s
}

// post sends a body, with the cookie.
func (s *signedIn) send(method, path, body string, header ...string) (*http.Response, sessionAnswer) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	if s.cookie != "" {
		r.Header.Set("Cookie", s.cookie)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer sessionAnswer
	_ = json.NewDecoder(resp.Body).Decode(&answer) // an error has none of its keys
	for _, c := range resp.Cookies() {
		s.cookie = c.Name + "=" + c.Value
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure {
			s.t.Errorf("cookie %v", c)
		}
	}
	return resp, answer
}

func (s *signedIn) signIn(token string) (*http.Response, sessionAnswer) {
	resp, answer := s.send("POST", "/v1/session", `{"token": "`+token+`"}`)
	s.csrf = answer.CSRF
	return resp, answer
}

// TestSession: a browser that shows a token may do what the token may, until it signs out,
// and changes something only from the console.
func TestSession(t *testing.T) {
	s := newSignedIn(t, tokens(t, readToken))
	if resp, got := s.send("GET", "/v1/session", "", "Accept: application/json"); resp.StatusCode != 200 || got.SignedIn || !got.TokenWanted || len(got.Roles) != 0 || got.CSRF != "" {
		t.Errorf("at first: %s, %+v", resp.Status, got)
	}
	resp, _ := s.send("GET", "/v1/self", "", "Accept: application/json")
	if challenges := resp.Header["Www-Authenticate"]; resp.StatusCode != 401 || len(challenges) != 1 || !strings.HasPrefix(challenges[0], "Bearer") {
		t.Errorf("a page is asked for %v", challenges)
	}
	if resp, got := s.signIn(readToken); resp.StatusCode != 200 || !got.SignedIn || fmt.Sprint(got.Roles) != "[read]" || len(got.CSRF) < 20 {
		t.Fatalf("%s, %+v", resp.Status, got)
	}
	if strings.Contains(s.cookie, readToken) || !strings.HasPrefix(s.cookie, "hopscope-"+s.URL[strings.LastIndex(s.URL, ":")+1:]+"=") {
		t.Errorf("cookie %s", s.cookie)
	}
	if resp, _ := s.send("GET", "/v1/self", ""); resp.StatusCode != 200 {
		t.Errorf("to read: %s", resp.Status)
	}
	if resp, _ := s.send("POST", "/drain", "", headerCSRF+": "+s.csrf); resp.StatusCode != 403 || s.drained != 0 {
		t.Errorf("a reader drains: %s", resp.Status)
	}
	old := s.cookie
	if resp, got := s.signIn(controlToken); resp.StatusCode != 200 || fmt.Sprint(got.Roles) != "[read control]" || s.cookie == old {
		t.Fatalf("%s, %+v", resp.Status, got)
	}
	for _, wrong := range []string{"", s.csrf[1:], strings.ToLower(s.csrf)} {
		if resp, _ := s.send("POST", "/drain", "", headerCSRF+": "+wrong); resp.StatusCode != 403 || s.drained != 0 {
			t.Errorf("with %q: %s", wrong, resp.Status)
		}
	}
	if resp, _ := s.send("POST", "/drain", "", headerCSRF+": "+s.csrf, "Sec-Fetch-Site: cross-site"); resp.StatusCode != 403 || s.drained != 0 {
		t.Errorf("from another site: %s", resp.Status)
	}
	if resp, _ := s.send("POST", "/drain", "", headerCSRF+": "+s.csrf, "Sec-Fetch-Site: same-origin"); resp.StatusCode != 202 || s.drained != 1 {
		t.Errorf("from the console: %s", resp.Status)
	}
	if resp, _ := s.send("POST", "/drain", "", "Authorization: Bearer "+controlToken); resp.StatusCode != 202 || s.drained != 2 {
		t.Errorf("a program with a token: %s", resp.Status)
	}
	current := s.cookie
	if s.cookie = old; true {
		if resp, _ := s.send("GET", "/v1/self", ""); resp.StatusCode != 401 {
			t.Errorf("the session of before: %s", resp.Status)
		}
	}
	s.cookie = current
	if resp, _ := s.send("DELETE", "/v1/session", ""); resp.StatusCode != 403 {
		t.Errorf("signed out by a forged request: %s", resp.Status)
	}
	if resp, _ := s.send("DELETE", "/v1/session", "", headerCSRF+": "+s.csrf); resp.StatusCode != 204 || !strings.HasSuffix(s.cookie, "=") {
		t.Errorf("sign out: %s, cookie %s", resp.Status, s.cookie)
	}
	s.cookie = current
	if resp, _ := s.send("GET", "/v1/self", ""); resp.StatusCode != 401 {
		t.Errorf("after signing out: %s", resp.Status)
	}
	if s.refused["forged"] != 3 || s.refused["role"] != 1 {
		t.Errorf("refused %v", s.refused)
	}
}

// TestSessionEndsWithItsToken: who signed in with a token that was replaced is out.
func TestSessionEndsWithItsToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) *mesh.Tokens {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := mesh.OpenTokens(path)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	access := &Access{Read: []*mesh.Tokens{write(readToken)}, Refused: func(string) {}}
	s := &signedIn{t: t, fixture: newFixture(t, func(o *Options) { o.Access = access })}
	if resp, _ := s.signIn(readToken); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	access.Read[0] = write("another-0123456789abcdef") // as when the file is read again
	if resp, _ := s.send("GET", "/v1/self", ""); resp.StatusCode != 401 {
		t.Errorf("with the token of before: %s", resp.Status)
	}
	if _, got := s.send("GET", "/v1/session", ""); got.SignedIn || got.CSRF != "" {
		t.Errorf("%+v", got)
	}
}

func TestSignInIsRefused(t *testing.T) {
	s := newSignedIn(t, tokens(t, readToken))
	for body, status := range map[string]int{"": 400, "{}": 400, "x": 400, `{"token":"` + strings.Repeat("x", maxSignIn) + `"}`: 400} {
		if resp, _ := s.send("POST", "/v1/session", body); resp.StatusCode != status {
			t.Errorf("%.20q: %s", body, resp.Status)
		}
	}
	for i := range attemptsAtOnce {
		if resp, _ := s.signIn(readToken + "x"); resp.StatusCode != 401 || s.cookie != "" {
			t.Errorf("wrong token %d: %s", i, resp.Status)
		}
	}
	if resp, _ := s.signIn(readToken); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after many wrong ones: %s", resp.Status)
	}
	if s.refused["wrong_token"] != attemptsAtOnce || s.refused["paced"] != 1 {
		t.Errorf("refused %v", s.refused)
	}
	open := &signedIn{t: t, fixture: newFixture(t, nil)}
	if resp, _ := open.signIn(readToken); resp.StatusCode != 409 {
		t.Errorf("where no token is wanted: %s", resp.Status)
	}
	if _, got := open.send("GET", "/v1/session", ""); !got.SignedIn || got.TokenWanted || len(got.Roles) != 2 {
		t.Errorf("where no token is wanted: %+v", got)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Now()
	s := newSessions()
	first, _ := s.begin("token", now)
	for i := range maxSessions + 50 {
		s.begin("token", now.Add(time.Duration(i)*time.Second))
	}
	request := func(id string) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "hopscope", Value: id})
		return r
	}
	if len(s.all) != maxSessions || s.of(request(first), now) != nil {
		t.Errorf("%d sessions", len(s.all))
	}
	last, _ := s.begin("token", now)
	if s.of(request(last), now.Add(sessionTime)) == nil || s.of(request(last), now.Add(sessionTime+1)) != nil {
		t.Error("a session has not its time")
	}
	for range 2 { // the first takes the last place
		s.begin("token", now.Add(3*sessionTime))
	}
	if len(s.all) != 2 {
		t.Errorf("%d sessions after all are over", len(s.all))
	}
	if r := httptest.NewRequest("GET", "https://10.0.0.1:9901/", nil); cookieName(r) != "__Host-hopscope" {
		t.Errorf("over TLS the cookie is %s", cookieName(r))
	}
}

func TestAttempts(t *testing.T) {
	a := attempts{all: map[netip.Addr]*bucket{}}
	now := time.Now()
	client, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for range attemptsAtOnce {
		if !a.may(client, now) {
			t.Error("too early")
		}
		a.failed(client, now)
	}
	if a.may(client, now) || !a.may(other, now) {
		t.Error("it is not the client that waits")
	}
	if !a.may(client, now.Add(attemptEvery)) {
		t.Error("it waits for too long")
	}
	for i := range 3 * maxClients {
		a.failed(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), now)
	}
	if len(a.all) > maxClients+1 || a.may(netip.MustParseAddr("10.9.9.9"), now) {
		t.Errorf("%d clients are told apart", len(a.all))
	}
	if !a.may(netip.MustParseAddr("10.9.9.9"), now.Add(24*time.Hour)) || len(a.all) > 1 {
		t.Errorf("a day later %d clients are told apart", len(a.all))
	}
}
