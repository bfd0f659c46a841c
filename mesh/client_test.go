package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for answers that must come.
const patience = 30 * time.Second

var (
	traceID = hop.TraceID{0x4b, 15: 0x36}
	epoch   = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// hopOf is a hop of a service whose application answered.
func hopOf(service string, span, parent byte, status int) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: service}, Trace: traceID, Span: hop.SpanID{7: span}, Start: epoch.Add(time.Duration(span) * time.Millisecond),
		End: time.Second - 2*time.Duration(span)*time.Millisecond, Method: "GET", Status: status,
	}
	if parent != 0 {
		h.Parent = hop.SpanID{7: parent}
	}
	*h.Attempt() = hop.Attempt{Span: hop.SpanID{7: span + 1}, Endpoint: "127.0.0.1:3000", Status: status, Start: time.Microsecond, End: h.End}
	return h
}

func answerOf(t testing.TB, hops ...*hop.Hop) string {
	t.Helper()
	text, err := json.Marshal(hops)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// serve runs an admin API, and returns its address.
func serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// says is an admin API that answers everything with a text.
func says(t testing.TB, text string) string {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func newClient(t testing.TB, addresses ...string) *Client {
	t.Helper()
	c, err := New(Options{Peers: addresses})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func limited(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestTrace asks proxies, and some answer wrongly or not at all: what the honest
// ones know is put together, and of each other it is said why it is not there.
func TestTrace(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	other := hopOf("stranger", 99, 0, 500)
	other.Trace[0]++
	impossible := hopOf("web", 98, 0, 500)
	impossible.End = -1
	many := answerOf(t, slices.Repeat([]*hop.Hop{hopOf("web", 1, 0, 500)}, 1999)...)
	tests := []struct{ name, address, want string }{
		{"web", says(t, answerOf(t, hopOf("web", 1, 0, 500))), ""},
		{"orders", says(t, answerOf(t, hopOf("orders", 3, 2, 500), hopOf("orders", 3, 2, 500))), ""},
		{"knows nothing", says(t, "[]"), ""},
		{"dead", refusing.Addr().String(), "connection refused"},
		{"endless", serve(t, func(w http.ResponseWriter, r *http.Request) {
			for spaces := strings.Repeat(" ", 1<<16); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, spaces); err != nil {
					return
				}
			}
		}), "its answer has more than 16 MiB"},
		{"endless hops", serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "[0")
			for zeros := strings.Repeat(",0", 1<<12); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, zeros); err != nil {
					return
				}
			}
		}), "its answer has too many items"},
		{"endless pages", serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</hops?from=0>; rel="next"`)
			io.WriteString(w, many)
		}), "its answer has too many items"},
		{"another trace", says(t, answerOf(t, other)), "1 of the 1 hops of its answer were left out: a hop of another trace"},
		{"impossible numbers", says(t, answerOf(t, impossible)), "a hop with impossible numbers"},
		{"no hops", says(t, `[1, {"span_id": "x"}, null]`), "3 of the 3 hops of its answer were left out: "},
		{"a page", says(t, "<html>hello</html>"), "its answer is not JSON: invalid character '<'"},
		{"an object", says(t, "{}"), "its answer is not a list: is this the admin API of a hopscope?"},
		{"half an answer", says(t, "[1, 2"), "its answer ends too early"},
		{"keeps no hops", serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, `{"error": "no hops are kept here", "hint": "set\u001b[31m it"}`)
		}), "it answered 404: no hops are kept here (set [31m it)"},
		{"leads elsewhere", serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }), "it answered 302"},
		{"a large header", serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("x", strings.Repeat("x", 1<<20)) }), "65536"},
	}
	var addresses []string
	for _, tt := range tests {
		addresses = append(addresses, tt.address)
	}
	hops, peers := newClient(t, addresses...).Trace(limited(t, patience), traceID)
	for i, tt := range tests {
		got := ""
		if peers[i].Err != nil {
			got = peers[i].Err.Error()
		}
		if peers[i].Address != tt.address || (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %+v, want error %q", tt.name, peers[i], tt.want)
		}
	}
	f := Assemble(traceID, hops, peers)
	if len(f.Known) != 2 || f.Culprit == nil || f.Culprit.String() != "orders: the application at 127.0.0.1:3000 answered 500" {
		t.Errorf("of %d hops: culprit %v in\n%s", len(f.Known), f.Culprit, f.AppendText(nil, diagnose.TextOptions{}))
	}
	text := string(f.AppendText(nil, diagnose.TextOptions{}))
	for _, want := range []string{
		fmt.Sprintf("3 of %d proxies answered; not, or not all, from:\n", len(tests)),
		"\n  " + refusing.Addr().String() + ": connection refused\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
}

// TestTraceOfSlowProxies: what has come counts when the time is over.
func TestTraceOfSlowProxies(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var asked sync.WaitGroup
	asked.Add(2)
	go func() {
		asked.Wait()
		cancel()
	}()
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Done()
		<-r.Context().Done()
	})
	halting := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "["+strings.Trim(answerOf(t, hopOf("stock", 5, 4, 200)), "[]")+",")
		w.(http.Flusher).Flush()
		asked.Done()
		<-r.Context().Done()
	})
	_, peers := newClient(t, silent, halting).Trace(ctx, traceID)
	for _, p := range peers {
		if p.Err == nil || !strings.HasPrefix(p.Err.Error(), "no whole answer within ") {
			t.Errorf("%+v", p)
		}
	}
}

func TestTraceOfManyPages(t *testing.T) {
	all := make([]*hop.Hop, 250)
	for i := range all {
		all[i] = hopOf("web", 1, 0, 200)
		all[i].Span[0] = byte(i + 1)
	}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		from := 0
		fmt.Sscan(r.FormValue("from"), &from)
		to := min(from+100, len(all))
		if to < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`</hops?trace=%s&from=%d>; rel="next"`, traceID, to))
		}
		io.WriteString(w, answerOf(t, all[from:to]...))
	})
	hops, peers := newClient(t, address, "http://"+address+"/").Trace(limited(t, patience), traceID)
	if len(hops) != len(all) || len(peers) != 1 || peers[0].Err != nil || peers[0].Hops != len(all) {
		t.Errorf("%d hops, %+v, want %d of one proxy", len(hops), peers, len(all))
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	for _, bad := range []string{"", "localhost", ":9901", "127.0.0.1:0", "127.0.0.1:99999", "https://127.0.0.1:9901", "127.0.0.1:9901/traces", "me@127.0.0.1:9901", "::1:9901"} {
		if _, err := New(Options{Peers: []string{"127.0.0.1:9901", bad}}); err == nil || !strings.Contains(err.Error(), "give host:port") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
	if c, err := New(Options{Peers: []string{"[::1]:9901", "localhost:9901", " http://admin:9901/"}}); err != nil || len(c.peers) != 3 || c.peers[2].Address != "admin:9901" {
		t.Errorf("%+v, error %v", c, err)
	}
}

func TestParseID(t *testing.T) {
	for text, want := range map[string]string{
		"4bf92f3577b34da6a3ce929d0e0e4736": "4bf92f3577b34da6a3ce929d0e0e4736", "4BF92F3577B34DA6A3CE929D0E0E4736": "4bf92f3577b34da6a3ce929d0e0e4736",
		"a3ce929d0e0e4736": "0000000000000000a3ce929d0e0e4736",
		"":                 "", "4bf9": "", "00000000000000000000000000000000": "", "4bf92f3577b34da6a3ce929d0e0e473x": "", "4bf92f3577b34da6a3ce929d0e0e47366": "",
	} {
		if id, err := ParseID(text); (err == nil) != (want != "") || err == nil && id.String() != want {
			t.Errorf("%q is %s, error %v", text, id, err)
		}
	}
}

// FuzzAnswer: whatever a proxy answers, a diagnosis of it can be drawn and written as JSON.
func FuzzAnswer(f *testing.F) {
	circle := []*hop.Hop{hopOf("a", 1, 4, 500), hopOf("b", 3, 2, 500)}
	f.Add([]byte(answerOf(f, circle...)))
	f.Add([]byte(answerOf(f, hopOf("web", 1, 0, 200), hopOf("orders", 3, 2, 503))))
	f.Add([]byte(`[{"service":"x","trace_id":"` + traceID.String() + `","span_id":"0000000000000001","start":"9999-01-01T00:00:00Z","end_ns":9223372036854775807}]`))
	f.Add([]byte(`[{"service":"x","trace_id":"` + traceID.String() + `","span_id":"0000000000000001","status":503,"attempts":[{"start_ns":5,"flags":"UT,UF"},{}]},`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		hops, n, err := decodeHops(strings.NewReader(string(answer)), traceID, 64)
		if len(hops) > n || n > 64 || err == nil && len(hops) != n {
			t.Fatalf("%d hops of %d items, error %v", len(hops), n, err)
		}
		found := Assemble(traceID, hops, []Peer{{Address: "127.0.0.1:9901", Hops: len(hops), Err: err}})
		text := string(found.AppendText(nil, diagnose.TextOptions{}))
		if strings.ContainsAny(text, "\x1b\x07\r") {
			t.Fatalf("the text has control characters: %q", text)
		}
		if _, err := json.Marshal(found); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReportHasEveryKey: the schema does not depend on what was found.
func TestReportHasEveryKey(t *testing.T) {
	call := hopOf("web", 1, 0, 500)
	call.Labels.Direction = hop.Outbound
	call.SetString(&call.Host, "bank:80")
	failed := Assemble(traceID, []*hop.Hop{call}, []Peer{{Address: "127.0.0.1:9901", Hops: 1}, {Address: "127.0.0.1:9902", Service: "orders", Instance: "o1", Err: errors.New("connection refused")}})
	text, err := marshal(failed)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"failed":true`, `"verdict":"web -> bank (127.0.0.1:3000): answered 500"`,
		`"culprit":{"service":"bank","instance":"127.0.0.1:3000","part":"application","kind":"error_response","edge":"web -> bank","caller":"web"`,
		`"reason":"answered 500","evidence":[]`, `"inner":null`, `"breaks":[]`, `"notes":[]`,
		`"hops":[{"service":"web"`, `"peers":[{"address":"127.0.0.1:9901","service":"","instance":"","hops":1,"error":""},{"address":"127.0.0.1:9902","service":"orders","instance":"o1","hops":0,"error":"connection refused"}]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	var keys [2]map[string]any
	none, err := json.Marshal(Assemble(traceID, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range [][]byte{text, none} {
		if err := json.Unmarshal(text, &keys[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys[0]) != len(keys[1]) || keys[1]["culprit"] != nil || keys[1]["verdict"] != "no hop of this trace is known" {
		t.Errorf("of nothing: %s", none)
	}
}

// TestReportIsDocumented holds the schema to its tables.
func TestReportIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []any{report{}, culprit{}, peer{}, Summary{}} {
		for f := range reflect.TypeOf(of).Fields() {
			if key := "`" + f.Tag.Get("json") + "`"; !strings.Contains(string(doc), key) {
				t.Errorf("docs/operations.md does not explain %s", key)
			}
		}
	}
}
