package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// longTrace are n failed hops of one trace, each with texts of that length that HTML
// and JSON escape.
func longTrace(n, length int) []*hop.Hop {
	labels := &hop.Labels{Service: "web", Direction: hop.Outbound}
	var all []*hop.Hop
	for i := range n {
		h := &hop.Hop{Labels: labels, Trace: trace(failedTrace), Span: hop.SpanID{1, byte(i >> 8), byte(i)}, Start: time.Unix(1, int64(i)),
			Method: "GET", Status: 503, End: time.Second, Attempts: make([]hop.Attempt, 1)}
		if i > 0 {
			h.Parent = hop.SpanID{2} // the attempt of the first
		}
		h.Attempts[0] = hop.Attempt{Span: hop.SpanID{2, byte(i >> 8), byte(i)}, Endpoint: "127.0.0.1:1", Status: 503}
		for _, text := range []*hop.Text{&h.Host, &h.Path, &h.UserAgent, &h.RequestID, &h.TraceState, &h.UpstreamHop} {
			h.SetString(text, strings.Repeat(`"`, length))
		}
		all = append(all, h)
	}
	return all
}

// keeping is a fixture whose one trace has these hops.
func keeping(t *testing.T, hops []*hop.Hop, change ...func(*Options)) *fixture {
	return newFixture(t, func(o *Options) {
		o.Trace = func(hop.TraceID) []*hop.Hop { return hops }
		o.Traces = func(store.Query) []store.Summary {
			return []store.Summary{{Trace: trace(failedTrace), Root: hops[0], Failed: true}}
		}
		for _, c := range change {
			c(o)
		}
	})
}

// TestLongTraceHasPages: no page of a trace of thousands of hops is long, and each row
// is on one of them.
func TestLongTraceHasPages(t *testing.T) {
	f := keeping(t, longTrace(7700, 10))
	rows, from := 0, ""
	for page := 0; ; page++ {
		got := f.do("GET", "/traces/"+failedTrace+from, "Accept: text/html")
		n := strings.Count(got.body, "<details")
		if rows += n; got.status != 200 || n > maxRows || len(got.body) > 1<<20 {
			t.Fatalf("page %d: status %d, %d rows, %d bytes", page, got.status, n, len(got.body))
		}
		if !strings.Contains(got.body, "500 of the 7700 hops") {
			t.Errorf("page %d does not say that it is a part", page)
		}
		if from = fmt.Sprintf("?from=%d", rows); !strings.Contains(got.body, `href="`+from+`"`) {
			break
		}
	}
	if rows != 500 {
		t.Errorf("%d rows on all pages, want those of 500 hops with an attempt each", rows)
	}
	if got := f.do("GET", "/traces/"+failedTrace+"?from=400", "Accept: text/html"); !strings.Contains(got.body, `<a href="?from=200">before</a>`) {
		t.Error("there is no way back")
	}
	if got := f.do("GET", "/traces/"+failedTrace+"?format=text"); len(got.body) > 1<<20 || !strings.Contains(got.body, "500 of the 7700 hops") {
		t.Errorf("%d bytes of text", len(got.body))
	}
	for _, from := range []string{"-1", "x", "1e3"} {
		for _, path := range []string{"/traces/" + failedTrace + "?from=", "/hops?trace=" + failedTrace + "&from="} {
			if got := f.do("GET", path+from); got.status != 400 {
				t.Errorf("%s%s: %v", path, from, got)
			}
		}
	}
}

// TestTheOneToBlameIsFound: a page that does not show the hop to blame leads to the one
// that does.
func TestTheOneToBlameIsFound(t *testing.T) {
	hops := longTrace(450, 1)
	for i, h := range hops {
		if i > 0 && i != 430 {
			h.Status, h.Attempts[0].Status = 200, 200
		}
	}
	f := keeping(t, hops)
	if got := f.do("GET", "/traces/"+failedTrace, "Accept: text/html"); !strings.Contains(got.body, `<a href="?from=400">the one to blame</a>`) || strings.Contains(got.body, "blame\"") {
		t.Errorf("no way to the hop to blame from the first page")
	}
	if got := f.do("GET", "/traces/"+failedTrace+"?from=400", "Accept: text/html"); strings.Count(got.body, `failed blame" open`) != 1 {
		t.Error("the hop to blame is not on its page")
	}
}

// TestLongTextsAreCut: who fills every text to its limit, with what HTML escapes, gets
// no page of many megabytes.
func TestLongTextsAreCut(t *testing.T) {
	f := keeping(t, longTrace(500, hop.MaxText))
	for path, most := range map[string]int{
		"/traces/" + failedTrace: 4 << 20, "/paths": 1 << 20, "/traces/" + failedTrace + "?format=text": 1 << 20,
		// A byte of text is two of JSON here.
		"/hops?trace=" + failedTrace: 2 * maxBytes, "/traces/" + failedTrace + "?format=json": 2 * maxBytes,
	} {
		if got := f.do("GET", path, "Accept: text/html"); got.status != 200 || len(got.body) > most+1<<20 {
			t.Errorf("%s: status %d, %d bytes", path, got.status, len(got.body))
		}
	}
}

// TestHopsGoOn: following the links of JSON answers leads to each hop once.
func TestHopsGoOn(t *testing.T) {
	for _, length := range []int{10, hop.MaxText / 4} { // bounded by number, and by bytes
		f := keeping(t, longTrace(1200, length))
		for _, start := range []string{"/hops?trace=" + failedTrace, "/traces/" + failedTrace + "?format=json"} {
			seen, answers := map[string]bool{}, 0
			for path := start; path != ""; answers++ {
				got := f.do("GET", path)
				var hops []struct {
					Span string `json:"span_id"`
				}
				var object struct {
					Hops  *json.RawMessage
					Next  string
					Total int `json:"hops_total"`
				}
				body := []byte(got.body)
				if path, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">"); path != "" {
					path = "/hops" + path // it is relative
				}
				if strings.HasPrefix(start, "/traces") {
					if err := json.Unmarshal(body, &object); err != nil || object.Total != 1200 {
						t.Fatalf("%s: %v, %d in all", path, err, object.Total)
					}
					body, path = *object.Hops, object.Next
				}
				if err := json.Unmarshal(body, &hops); err != nil || len(hops) == 0 || len(hops) > maxHops {
					t.Fatalf("%s: %v, %d hops", path, err, len(hops))
				}
				for _, h := range hops {
					if seen[h.Span] {
						t.Fatalf("%s twice", h.Span)
					}
					seen[h.Span] = true
				}
			}
			if len(seen) != 1200 || answers < 2 {
				t.Errorf("%s: %d hops in %d answers", start, len(seen), answers)
			}
		}
	}
}

// TestViewsAtOnce: more viewers than there is room for are told to come again, and none
// of them keeps a scrape, a probe or a reload out.
func TestViewsAtOnce(t *testing.T) {
	came, release := make(chan struct{}), make(chan struct{})
	f := newFixture(t, func(o *Options) {
		o.Listeners = func() any {
			came <- struct{}{}
			<-release
			return "here"
		}
	})
	var wg sync.WaitGroup
	for range maxViews {
		wg.Go(func() {
			if got := f.do("GET", "/listeners"); got.status != 200 {
				t.Errorf("one of the first: %v", got)
			}
		})
		<-came
	}
	if got := f.do("GET", "/traces"); got.status != 503 || got.header.Get("Retry-After") == "" || !json.Valid([]byte(got.body)) {
		t.Errorf("one too many: %v", got)
	}
	for _, path := range []string{"/metrics", "/ready", "/server_info", "/debug/pprof/"} {
		if got := f.do("GET", path); got.status != 200 {
			t.Errorf("%s meanwhile: %v", path, got)
		}
	}
	if got := f.do("POST", "/reload"); got.status != 200 {
		t.Errorf("a reload meanwhile: %v", got)
	}
	close(release)
	wg.Wait()
	if got := f.do("GET", "/traces"); got.status != 200 {
		t.Errorf("afterwards: %v", got)
	}
}

// TestReadersThatStop are given up: each place that they took is another's.
func TestReadersThatStop(t *testing.T) {
	f := keeping(t, longTrace(900, hop.MaxText/4), func(o *Options) { o.Stall = 50 * time.Millisecond })
	for range 2 * maxViews {
		c, err := net.Dial("tcp", f.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(c, "GET /hops?trace=%s HTTP/1.1\r\nHost: %s\r\n\r\n", failedTrace, c.RemoteAddr())
		// The answer or a refusal has begun, or the machine is so busy that this reader was
		// given up already.
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil && err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(30 * time.Second); f.do("GET", "/traces").status != 200; {
		if time.Now().After(end) {
			t.Fatal("who asks when nobody reads gets no place")
		}
	}
}

// TestOtherSitesGetNothingMade: a page of another site can't have a browser ask for what
// is costly; a person who follows a link to a page can.
func TestOtherSitesGetNothingMade(t *testing.T) {
	f := newFixture(t, nil)
	costly := []string{"/", "/paths", "/traces", "/traces/" + failedTrace, "/hops?trace=" + failedTrace, "/metrics", "/store", "/listeners", "/clusters", "/config_dump",
		"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1", "/debug/pprof/cmdline"}
	for _, path := range costly {
		for _, site := range []string{"cross-site", "same-site"} {
			for _, method := range []string{"GET", "HEAD"} {
				if got := f.do(method, path, "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"); got.status != 403 {
					t.Errorf("%s %s %s: %d", site, method, path, got.status)
				}
			}
			got := f.do("GET", path, "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1")
			if isPage := path == "/" || path == "/paths" || strings.HasPrefix(path, "/traces/"); (got.status == 200) != isPage {
				t.Errorf("%s, a link that was followed to %s: %d", site, path, got.status)
			}
			if got := f.do("GET", path, "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Sec-Fetch-User: ?1"); got.status != 403 {
				t.Errorf("%s, a frame of %s: %d", site, path, got.status)
			}
		}
		if strings.Contains(path, "seconds=") {
			continue
		}
		for _, header := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Accept: */*"} {
			if got := f.do("GET", path, header); got.status != 200 {
				t.Errorf("%s, %s: %d", path, header, got.status)
			}
		}
	}
}

func TestProfilesEnd(t *testing.T) {
	f := newFixture(t, nil)
	for _, seconds := range []string{"301", "0", "-1", "NaN", "1e9", "x"} {
		for _, kind := range []string{"profile", "trace", "heap"} {
			if got := f.do("GET", "/debug/pprof/"+kind+"?seconds="+seconds); got.status != 400 {
				t.Errorf("a %s of %s seconds: %d", kind, seconds, got.status)
			}
		}
	}
}

// TestTooManyConnections: one more costs who has been idle for longest, then who has
// said nothing or has a request under way for longest.
func TestTooManyConnections(t *testing.T) {
	const most = 8
	b := &bound{most: func() int { return most }, conns: map[net.Conn]usage{}}
	come := func() net.Conn {
		c, other := net.Pipe()
		t.Cleanup(func() { other.Close() })
		b.enter(c, true)
		return c
	}
	var all []net.Conn
	for i := range most {
		all = append(all, come())
		b.conns[all[i]] = usage{http.StateNew, time.Unix(int64(100+i), 0)}
	}
	b.conns[all[0]] = usage{http.StateActive, time.Unix(1, 0)}
	b.conns[all[6]] = usage{http.StateIdle, time.Unix(300, 0)}
	b.conns[all[7]] = usage{http.StateIdle, time.Unix(200, 0)}
	for i, victim := range []int{7, 6, 1, 2} {
		come()
		if err := all[victim].SetDeadline(time.Time{}); err == nil || len(b.conns) != most {
			t.Errorf("newcomer %d: connection %d is open: %t; %d are", i, victim, err == nil, len(b.conns))
		}
	}
	b.changed(all[3], http.StateClosed)
	come()
	if err := all[4].SetDeadline(time.Time{}); err != nil {
		t.Error("a connection is closed though there was room")
	}
}
