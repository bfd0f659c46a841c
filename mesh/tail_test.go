package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTail: what several proxies tell of a trace is shown once, and what they can't tell is
// said. A proxy that lies harms nobody.
func TestTail(t *testing.T) {
	line := func(number int, s Summary) string {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"number":%d,"missed":0,"hop":%s}`+"\n", number, text)
	}
	var mu sync.Mutex
	var asked []string
	web := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.RawQuery)
		mu.Unlock()
		if r.FormValue("after") == "0" {
			io.WriteString(w, `{"number":7,"missed":0}`)
			return
		}
		io.WriteString(w, line(8, listed("1", "web", 0, true, "bank", "relayed"))+`{"number":9,"missed":5}`+"\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	orders := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("after") == "0" {
			io.WriteString(w, line(3, listed("1", "orders", time.Millisecond, true, "bank", "refused")))
		}
	})
	liar := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"number":1,"hop":{"hops":-1}}`) })
	long := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 2*maxLine)) })
	ctx, cancel := context.WithCancel(limited(t, patience))
	defer cancel()
	var shown []Summary
	notes := map[string]string{}
	err := newClient(t, web, orders, liar, long, "127.0.0.1:1").Tail(ctx, TailOptions{
		Failed: true,
		Trace:  func(s Summary) { shown = append(shown, s); cancel() },
		Note:   func(peer, text string) { notes[peer] = text },
	})
	if err != nil || len(shown) != 1 || shown[0].Service != "web" || shown[0].Hops != 2 || shown[0].edge() != "payments -> bank" {
		t.Errorf("%+v, error %v", shown, err)
	}
	for peer, want := range map[string]string{web: "5 hops are missing: they came too fast", liar: "makes no sense", long: "too long", "127.0.0.1:1": "connection refused"} {
		if !strings.Contains(notes[peer], want) {
			t.Errorf("%s: %q, want %q", peer, notes[peer], want)
		}
	}
	if asked[0] != "failed=1&wait=0s&after=0" || asked[1] != "failed=1&wait=20s&after=7" {
		t.Errorf("asked %q", asked)
	}
	if err := newClient(t, liar).Tail(limited(t, patience), TailOptions{Note: func(string, string) {}}); err == nil {
		t.Error("no error, though no proxy answers")
	}
}

func TestActive(t *testing.T) {
	one := `{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","service":"web","direction":"inbound","start":"2026-03-04T05:06:07Z","duration_ns":5000000000,"slow":true,"method":"GET","host":"shop","path":"/\u001b","waits_for":"first_byte","endpoint":"10.0.0.1:80"}`
	a := newClient(t, says(t, "["+one+"]"), says(t, `[{"duration_ns":-1},`+strings.Replace(one, "5000000000", "6000000000", 1)+"]")).Active(limited(t, patience), 2)
	want := "      6s  web inbound  GET shop/   waits for first_byte of 10.0.0.1:80, slow  4bf92f3577b34da6a3ce929d0e0e4736\n" +
		"      5s  web inbound  GET shop/   waits for first_byte of 10.0.0.1:80, slow  4bf92f3577b34da6a3ce929d0e0e4736\n2 proxies answered\n"
	if got := string(a.AppendText(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if text := string(newClient(t, says(t, "[]")).Active(limited(t, patience), 2).AppendText(nil)); text != "no request is under way\n1 proxy answered\n" {
		t.Error(text)
	}
}

func TestTop(t *testing.T) {
	good := says(t, `{"service":"web","started":"2026-03-04T05:06:07Z","at":"2026-03-04T05:06:09Z","edges":[{"direction":"inbound","requests":4}]}`)
	counts, peers := newClient(t, good, says(t, `{"service":"x","edges":[{"requests":1,"failed":2}]}`), says(t, "[]")).Top(limited(t, patience))
	if len(counts) != 1 || counts[good] == nil || !AnyAnswered(peers) || peers[1].Err == nil || peers[2].Err == nil {
		t.Errorf("%+v, %+v", counts, peers)
	}
}
