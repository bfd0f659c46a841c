package basicauth_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
	"github.com/hopscope/hopscope/proxy/htpasswd"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// conn is that of a client who stays.
type conn struct{ filter.Conn }

func (conn) Gone() func() bool { return func() bool { return false } }

// exchange is one with these fields that began just now.
func exchange(fields ...string) *filter.Exchange {
	x := &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{Route: "r"}, Start: time.Now()}, Conn: conn{}, Context: context.Background()}
	x.Request.Begin(nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.Request.Add(message.FieldByName([]byte(name)), name, value)
	}
	return x
}

func basic(credentials string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// users are ann, whose password is "secret", and bob, whose password is "se:cret".
func users(t testing.TB) *htpasswd.Users {
	u, err := htpasswd.Parse([]byte("ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\nbob:{SHA}pv2GBvjxKnVBICqTPkoqmG/ZwaE=\n"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sent are the fields of a request as it would go on.
func sent(x *filter.Exchange) (all []string) {
	for i := range x.Request.Fields {
		if f := &x.Request.Fields[i]; !f.Removed {
			all = append(all, fmt.Sprintf("%s: %s", x.Request.Bytes(f.Name), x.Request.Bytes(f.Value)))
		}
	}
	return all
}

func TestWhoIsLetIn(t *testing.T) {
	long := strings.Repeat("p", htpasswd.MaxPassword)
	for name, tt := range map[string]struct {
		fields []string
		want   string // the details of the refusal, "" for none
	}{
		"right":                {[]string{basic("ann:secret")}, ""},
		"a colon":              {[]string{basic("bob:se:cret")}, ""},
		"scheme in any case":   {[]string{strings.Replace(basic("ann:secret"), "Basic", "bASIC", 1)}, ""},
		"several spaces":       {[]string{strings.Replace(basic("ann:secret"), "Basic", "Basic  ", 1)}, ""},
		"nothing":              {[]string{"x-a: 1"}, "no_credential_for_basic_auth"},
		"another scheme":       {[]string{"Authorization: Bearer YW5uOnNlY3JldA=="}, "invalid_scheme_for_basic_auth"},
		"scheme alone":         {[]string{"Authorization: Basic"}, "invalid_scheme_for_basic_auth"},
		"no base64":            {[]string{"Authorization: Basic ann:secret"}, "invalid_format_for_basic_auth"},
		"empty":                {[]string{"Authorization: Basic "}, "invalid_format_for_basic_auth"},
		"no colon":             {[]string{basic("ann")}, "invalid_format_for_basic_auth"},
		"two lines":            {[]string{basic("ann:secret"), basic("ann:secret")}, "several_credentials_for_basic_auth"},
		"wrong":                {[]string{basic("ann:Secret")}, "invalid_credential_for_basic_auth"},
		"another's":            {[]string{basic("bob:secret")}, "invalid_credential_for_basic_auth"},
		"nobody":               {[]string{basic("eve:secret")}, "invalid_credential_for_basic_auth"},
		"nobody and nothing":   {[]string{basic(":")}, "invalid_credential_for_basic_auth"},
		"as long as it can be": {[]string{basic("ann:" + long)}, "invalid_credential_for_basic_auth"},
		"longer":               {[]string{basic("ann:" + long + "p")}, "invalid_format_for_basic_auth"},
		"much longer":          {[]string{basic("ann:" + strings.Repeat(long, 9))}, "invalid_format_for_basic_auth"},
		"proxy credentials":    {[]string{"Proxy-" + basic("ann:secret")}, "no_credential_for_basic_auth"},
	} {
		t.Run(name, func(t *testing.T) {
			passed := 0
			h := filter.Chain(func(*filter.Exchange) error { passed++; return nil },
				basicauth.New(basicauth.Options{Users: users(t), Realm: "the shop", Forward: true}, basicauth.NewVerifier()))
			for range 2 { // the second time it may be remembered
				err := h(exchange(tt.fields...))
				a := fault.AnswerTo(err)
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("it is refused: %v", err)
				case tt.want != "" && a == nil:
					t.Error("it is let in")
				case tt.want != "" && (a.Status != 401 || a.GRPC.Code() != 16 || a.Details != tt.want || fmt.Sprint(a.Fields) != `[{www-authenticate Basic realm="the shop"}]`):
					t.Errorf("the answer is %+v", a)
				}
			}
			if want := map[bool]int{true: 2}[tt.want == ""]; passed != want {
				t.Errorf("%d requests passed, want %d", passed, want)
			}
		})
	}
}

// TestWhatGoesOn: what the endpoint is told of the client.
func TestWhatGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		o    basicauth.Options
		want []string
	}{
		"all":      {basicauth.Options{Forward: true}, []string{basic("ann:secret"), "X-User: root", "x-user: admin"}},
		"no field": {basicauth.Options{}, []string{"X-User: root", "x-user: admin"}},
		"who":      {basicauth.Options{UsernameField: "x-user"}, []string{"x-user: ann"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Users = users(t)
			h := filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(tt.o, basicauth.NewVerifier()))
			x := exchange(basic("ann:secret"), "X-User: root", "x-user: admin")
			if err := h(x); err != nil {
				t.Fatal(err)
			}
			if got := sent(x); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("it goes on with %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRemembered: a password that was right is not compared again, for a while; one that was
// wrong is not let in for it.
func TestRemembered(t *testing.T) {
	v := basicauth.NewVerifier()
	h := filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(basicauth.Options{Users: users(t), Forward: true}, v))
	for range 2 {
		if err := h(exchange(basic("ann:secret"))); err != nil {
			t.Fatal(err)
		}
		if fault.AnswerTo(h(exchange(basic("ann:wrong")))).Status != 401 {
			t.Error("a wrong password is let in")
		}
	}
	free := v.Occupy(true)
	if err := h(exchange(basic("ann:secret"))); err != nil {
		t.Errorf("a password that was right is compared again: %v", err)
	}
	later := exchange(basic("ann:secret"))
	later.Began = 2 * basicauth.Remembered
	for name, x := range map[string]*filter.Exchange{"new": exchange(basic("bob:se:cret")), "wrong": exchange(basic("ann:wrong")), "nobody": exchange(basic("eve:secret")), "old": later} {
		a := fault.AnswerTo(h(x))
		if a == nil || a.HTTPStatus() != 503 || a.Why.Kind != fault.RouteOverflow || !strings.Contains(fmt.Sprint(a.Fields), "{retry-after 1}") {
			t.Errorf("%s, while there is no room to compare: %+v", name, a)
		}
	}
	free()
	if err := h(later); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	if comparing, waiting := v.Load(); comparing+waiting != 0 {
		t.Errorf("%d are being compared and %d wait in the end", comparing, waiting)
	}
}

// TestChangedUsers: what is remembered of a user's password does not outlive it.
func TestChangedUsers(t *testing.T) {
	v := basicauth.NewVerifier()
	chain := func(content string) filter.Handler {
		u, err := htpasswd.Parse([]byte(content))
		if err != nil {
			t.Fatal(err)
		}
		return filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(basicauth.Options{Users: u}, v))
	}
	const secret, other = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SHA}pv2GBvjxKnVBICqTPkoqmG/ZwaE="
	if err := chain("ann:" + secret)(exchange(basic("ann:secret"))); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"ann:" + other, "bob:" + secret} {
		if err := chain(content)(exchange(basic("ann:secret"))); fault.AnswerTo(err).HTTPStatus() != 401 {
			t.Errorf("with %s: %v", content, err)
		}
	}
}

// TestWaiting: a request waits for its turn, and goes away with its client.
func TestWaiting(t *testing.T) {
	v := basicauth.NewVerifier()
	h := filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(basicauth.Options{Users: users(t), Forward: true}, v))
	free := v.Occupy(false)
	ctx, cancel := context.WithCancel(context.Background())
	gone, stays := exchange(basic("ann:secret")), exchange(basic("ann:secret"))
	gone.Context = ctx
	ended, served := make(chan error, 1), make(chan error, 1)
	go func() { ended <- h(gone) }()
	go func() { served <- h(stays) }()
	cancel()
	if e := (*fault.Error)(nil); !errors.As(<-ended, &e) || e.Kind != fault.Draining {
		t.Errorf("whoever need not wait any more ends with %v", e)
	}
	free()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if comparing, waiting := v.Load(); comparing+waiting != 0 {
		t.Errorf("%d are being compared and %d wait in the end", comparing, waiting)
	}
}

// TestBoundedMemory: no more than so many passwords are remembered, the latest among them.
func TestBoundedMemory(t *testing.T) {
	const n = basicauth.MaxRemembered + 1
	var content strings.Builder
	for i := range n {
		sum := sha1.Sum(fmt.Append(nil, i))
		fmt.Fprintf(&content, "u%d:{SHA}%s\n", i, base64.StdEncoding.EncodeToString(sum[:]))
	}
	u, err := htpasswd.Parse([]byte(content.String()))
	if err != nil {
		t.Fatal(err)
	}
	v := basicauth.NewVerifier()
	h := filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(basicauth.Options{Users: u}, v))
	for i := range n {
		if err := h(exchange(basic(fmt.Sprintf("u%d:%d", i, i)))); err != nil {
			t.Fatal(err)
		}
	}
	if v.Len() > basicauth.MaxRemembered {
		t.Errorf("%d are remembered", v.Len())
	}
	defer v.Occupy(true)()
	if err := h(exchange(basic(fmt.Sprintf("u%d:%d", n-1, n-1)))); err != nil {
		t.Error(err)
	}
}

// TestAllocations: a request whose password was right before allocates nothing.
func TestAllocations(t *testing.T) {
	h := filter.Chain(func(*filter.Exchange) error { return nil },
		basicauth.New(basicauth.Options{Users: users(t), UsernameField: "x-user"}, basicauth.NewVerifier()))
	x, right := exchange(), basic("ann:secret")
	ask := func() {
		x.Request.Begin(nil)
		name, value, _ := strings.Cut(right, ": ")
		x.Request.Add(message.Unknown, name, value)
		if err := h(x); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	if n := testing.AllocsPerRun(100, ask); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAuthorization: whatever the field holds, nobody comes in but with a name and its
// password.
func FuzzAuthorization(f *testing.F) {
	for _, value := range []string{"", "Basic", "Basic YW5uOnNlY3JldA==", "basic  Ym9iOnNlOmNyZXQ=", "Bearer x", "Basic YW5uOnNlY3JldA==\n", "Basic OjA="} {
		f.Add(value)
	}
	v, u := basicauth.NewVerifier(), users(f)
	h := filter.Chain(func(*filter.Exchange) error { return nil }, basicauth.New(basicauth.Options{Users: u, Realm: "r", UsernameField: "x-user"}, v))
	f.Fuzz(func(t *testing.T, value string) {
		x := exchange()
		x.Request.Add(message.Unknown, "authorization", value)
		if err := h(x); err != nil {
			if a := fault.AnswerTo(err); a.Status != 401 || a.Details == "" {
				t.Errorf("%q: %+v", value, a)
			}
			return
		}
		_, text, _ := strings.Cut(value, " ")
		credentials, err := base64.StdEncoding.DecodeString(strings.TrimLeft(text, " "))
		if got := string(credentials); err != nil || got != "ann:secret" && got != "bob:se:cret" {
			t.Errorf("%q comes in", value)
		}
	})
}

// BenchmarkRemembered is what a request costs whose password was right before. It allocates
// nothing.
func BenchmarkRemembered(b *testing.B) {
	h := filter.Chain(func(*filter.Exchange) error { return nil },
		basicauth.New(basicauth.Options{Users: users(b), UsernameField: "x-user"}, basicauth.NewVerifier()))
	x := exchange(basic("ann:secret"))
	again := x.Request.Clone()
	for b.Loop() {
		x.Request.Fields = append(x.Request.Fields[:0], again.Fields...)
		if err := h(x); err != nil {
			b.Fatal(err)
		}
	}
}
