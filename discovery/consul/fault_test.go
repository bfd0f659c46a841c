package consul_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery/consul"
)

// counted is a proxy in front of a Consul that counts the connections to it.
func counted(t *testing.T, consulURL string, open, most *atomic.Int64) (url string) {
	t.Helper()
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(parsed(t, consulURL)))
	front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			n := open.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
		case http.StateClosed:
			open.Add(-1)
		}
	}
	front.Start()
	t.Cleanup(front.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return front.URL
}

func parsed(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fake is a Consul whose answers a test gives, one after the other; the last is held.
type fake struct {
	mu      sync.Mutex
	asked   []url.Values
	headers []http.Header
	answers []func(http.ResponseWriter)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.Query())
	f.headers = append(f.headers, r.Header)
	var next func(http.ResponseWriter)
	if len(f.answers) > 0 {
		next, f.answers = f.answers[0], f.answers[1:]
	}
	f.mu.Unlock()
	if next == nil {
		<-r.Context().Done()
		return
	}
	next(w)
}

func (f *fake) indexes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, q := range f.asked {
		all = append(all, q.Get("index"))
	}
	return all
}

// await waits for the nth question.
func (f *fake) await(t *testing.T, n int) {
	t.Helper()
	backends.Await(t, hung, func() error {
		if asked := len(f.indexes()); asked < n {
			return fmt.Errorf("asked %d times, want %d", asked, n)
		}
		return nil
	})
}

func startFake(t *testing.T, answers ...func(http.ResponseWriter)) (*fake, *consul.Client) {
	t.Helper()
	f := &fake{answers: answers}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, dial(t, consul.Connection{Address: server.URL})
}

const oneWeb = `[{"Node":{"Node":"n","Address":"127.0.0.1"},"Service":{"ID":"a","Service":"web","Port":80},"Checks":[]}]`

func answer(index int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("X-Consul-Index", strconv.Itoa(index))
		w.Header().Set("X-Consul-LastContact", "0")
		fmt.Fprint(w, body)
	}
}

func status(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func cut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `[{"Node":`)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func abort(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// endless is an answer without end, of what may all be true.
func endless(w http.ResponseWriter) {
	w.Header().Set("X-Consul-Index", "9")
	fmt.Fprint(w, `[{"Service":{"ID":"`)
	for blank := strings.Repeat(" ", 1<<20); ; {
		if _, err := fmt.Fprint(w, blank); err != nil {
			return
		}
	}
}

// Whatever goes wrong between two good answers, the first one stays meanwhile.
func TestKeepsTheLastAnswer(t *testing.T) {
	const good = "127.0.0.1:80 healthy"
	type does = func(http.ResponseWriter)
	redirect := func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(http.StatusFound)
	}
	for _, tt := range []struct {
		name string
		bad  []does
		says string
	}{
		{"no leader", []does{status(500, "No cluster leader")}, "electing a leader"},
		{"denied", []does{status(403, "Permission denied")}, `the token needs service:read on "web" and node:read`},
		{"too many requests", []does{status(429, "Your IP is issuing too many concurrent connections")}, "it limits requests"},
		{"a redirect", []does{redirect}, "redirects are not followed"},
		{"a long error", []does{status(500, strings.Repeat("x", 1<<20))}, "xxx..."},
		{"not JSON", []does{answer(8, "<html>")}, "is the address that of its HTTP API?"},
		{"other JSON", []does{answer(8, `{"a":1}`)}, "is the address that of its HTTP API?"},
		{"cut off", []does{cut}, "unexpected EOF"},
		{"endless", []does{endless}, "longer than 64 MiB"},
		// The library asks again by itself when a kept connection breaks, and the source
		// when an answer is empty.
		{"aborted twice", []does{abort, abort}, "EOF"},
		{"empty twice, without an index", []does{status(200, "[]"), status(200, "[]")}, "no X-Consul-Index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := append([]does{answer(7, oneWeb)}, tt.bad...)
			_, client := startFake(t, append(answers, answer(8, oneWeb))...)
			updates := follow(t, client, consul.Options{Service: "web"})
			if u := updates.nth(t, 2); u.Err == nil || !strings.Contains(u.Err.Error(), tt.says) || len(u.Err.Error()) > 600 {
				t.Errorf("the error is %v, want one that says %q", u.Err, tt.says)
			}
			if u := updates.nth(t, 3); !is(good)(u) {
				t.Errorf("after the fault: %+v", u)
			}
			never(t, updates)
		})
	}
}

func TestResetsTheIndex(t *testing.T) {
	f, client := startFake(t,
		answer(7, oneWeb), answer(9, oneWeb),
		answer(3, oneWeb), // it fell: ask for an answer at once
		answer(3, oneWeb), answer(0, oneWeb), answer(0, oneWeb))
	updates := follow(t, client, consul.Options{Service: "web"})
	updates.await(t, "there", is("127.0.0.1:80 healthy"))
	f.await(t, 7)
	want := []string{"", "7", "9", "", "3", "", "1"}
	if diff := cmp.Diff(want, f.indexes()); diff != "" {
		t.Errorf("asked with indexes (-want +got):\n%s", diff)
	}
	if n := len(updates.all); n != 1 {
		t.Errorf("%d updates of what never changed", n)
	}
}

// An answer that is empty because the index fell is not believed, nor is one after that.
func TestDoubtsAnEmptyAnswerWhenTheIndexFell(t *testing.T) {
	_, client := startFake(t,
		answer(7, oneWeb),
		answer(3, "[]"), answer(3, "[]"), // held, and asked again to be sure
		answer(3, "[]"),                  // at once, since it fell
		answer(4, "[]"), answer(4, "[]")) // held, and asked again to be sure
	updates := follow(t, client, consul.Options{Service: "web"})
	updates.await(t, "not believed", stale("127.0.0.1:80 healthy"))
	never(t, updates)
}
