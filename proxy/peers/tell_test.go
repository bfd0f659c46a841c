package peers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listener is the admin API of a proxy that is told something.
func listener(t *testing.T, serve func(w http.ResponseWriter, r *http.Request)) string {
	s := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// settled waits until nobody is being told anything.
func settled(t *testing.T, p *Peers) {
	t.Helper()
	for range 6000 {
		p.mu.Lock()
		busy := false
		for _, m := range p.members {
			busy = busy || m.teller.busy
		}
		p.mu.Unlock()
		if !busy {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("a member is told for ever")
}

// TestTell: each other member gets the body. One that fails is left alone for a while, and
// counted each time; one that does not know the path is left alone and not counted.
func TestTell(t *testing.T) {
	var got, refused, unknown, skipped atomic.Int64
	good := listener(t, func(w http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); r.Method == "POST" && r.URL.Path == "/v1/pins" && string(text) == "{}" {
			got.Add(1)
		}
	})
	bad := listener(t, func(w http.ResponseWriter, r *http.Request) { refused.Add(1); w.WriteHeader(503) })
	older := listener(t, func(w http.ResponseWriter, r *http.Request) { unknown.Add(1); w.WriteHeader(404) })
	p := newPeers(t, "10.0.0.1:9901", good, bad, older, "10.0.0.1:9901")
	skip := func() { skipped.Add(1) }
	if left := p.Tell("/pins", []byte("{}"), skip); left != 0 {
		t.Errorf("%d are left out", left)
	}
	settled(t, p)
	p.mu.Lock()
	for _, address := range []string{bad, older} {
		p.members[address].teller.until = time.Now().Add(time.Hour) // however slow this test is
	}
	p.mu.Unlock()
	if left := p.Tell("/pins", []byte("{}"), skip); left != 1 {
		t.Errorf("%d are left out", left)
	}
	settled(t, p)
	if got.Load() != 2 || refused.Load() != 1 || unknown.Load() != 1 || skipped.Load() != 1 {
		t.Errorf("%d, %d and %d requests came, %d were skipped", got.Load(), refused.Load(), unknown.Load(), skipped.Load())
	}
	p.mu.Lock()
	rest, long := p.members[bad].teller.rest, p.members[older].teller.rest
	p.mu.Unlock()
	if rest != restFirst || long != restLongest {
		t.Errorf("they rest %v and %v", rest, long)
	}
}

// TestTellNobodyTwice: a member that does not answer has one request at a time, which Close
// ends.
func TestTellNobodyTwice(t *testing.T) {
	var asked atomic.Int64
	hang, came := make(chan struct{}), make(chan struct{}, 10)
	slow := listener(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		came <- struct{}{}
		<-hang
	})
	defer close(hang)
	p := newPeers(t, "", slow)
	p.Tell("/pins", []byte("{}"), func() {})
	<-came
	p.mu.Lock()
	p.members[slow].teller.rest = restLongest // so that it is not told again, however slow this test is
	p.mu.Unlock()
	for range 5 {
		if left := p.Tell("/pins", []byte("{}"), func() {}); left != 1 {
			t.Errorf("%d are left out", left)
		}
	}
	p.Close()
	if left := p.Tell("/pins", nil, func() {}); left != 0 || asked.Load() != 1 {
		t.Errorf("%d requests came", asked.Load())
	}
}
