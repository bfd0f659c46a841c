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

// within is a client as a proxy has one, of members that a test may change.
func within(t *testing.T, members func() []string) *Client {
	caller := NewCaller(Access{})
	t.Cleanup(caller.Close)
	return Within(func(context.Context) (all []Member) {
		for i, address := range members() {
			all = append(all, Member{Service: fmt.Sprint("s", i), Address: address})
		}
		return all
	}, caller.Send, nil)
}

// TestTailFollowsWhoComes: within a proxy a tail goes on for long, so it hears members that
// come later, and hears those no more that are gone.
func TestTailFollowsWhoComes(t *testing.T) {
	var mu sync.Mutex
	heard, left := make(chan string, 100), make(chan string, 100)
	member := func(name string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"number":7}`+"\n")
			w.(http.Flusher).Flush()
			if r.FormValue("after") != "0" {
				heard <- name
				<-r.Context().Done()
				left <- name
			}
		})
	}
	members := []string{member("first"), "127.0.0.1:1"}
	c := within(t, func() []string { mu.Lock(); defer mu.Unlock(); return members })
	ctx, cancel := context.WithCancel(limited(t, patience))
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- c.Tail(ctx, TailOptions{Relist: time.Millisecond, Note: func(string, string) {}, Trace: func(Summary) {}})
	}()
	if name := <-heard; name != "first" {
		t.Errorf("%s was heard", name)
	}
	second := member("second")
	mu.Lock()
	members = []string{second}
	mu.Unlock()
	if name := <-heard; name != "second" {
		t.Errorf("%s was heard", name)
	}
	if name := <-left; name != "first" {
		t.Errorf("%s was left", name)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAnswersTogetherAreBounded: what all members answer together has an end.
func TestAnswersTogetherAreBounded(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "[")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
				return
			}
		}
	}
	var members []string
	for range 6 {
		members = append(members, serve(t, endless))
	}
	c := within(t, func() []string { return members })
	alone, together := 0, 0
	for _, p := range c.Events(limited(t, patience), time.Minute).Peers {
		switch {
		case strings.Contains(p.Err.Error(), "more than 8 MiB"):
			alone++
		case strings.Contains(p.Err.Error(), "all proxies together"):
			together++
		default:
			t.Errorf("%v", p.Err)
		}
	}
	if alone+together != len(members) || together == 0 || alone > 4 {
		t.Errorf("%d answers are too long, and %d together with the others", alone, together)
	}
}

func TestEvents(t *testing.T) {
	at := func(minute int, text string) string {
		return fmt.Sprintf(`{"time":"2026-03-04T05:%02d:00Z","last":"2026-03-04T05:%02d:00Z","count":1,"kind":"reload","service":"s","text":%q}`, minute, minute, text)
	}
	first := says(t, "["+at(2, "b")+","+strings.Replace(at(1, "a?"), "?", `\u001b`, 1)+"]")
	liar := says(t, `[{"time":"2026-03-04T05:06:07Z","last":"2025-03-04T05:06:07Z","kind":"reload"},{"kind":"x"},`+at(3, "c")+`,5]`)
	h := within(t, func() []string { return []string{first, liar, "127.0.0.1:1"} }).Events(limited(t, patience), time.Hour)
	texts := ""
	for _, e := range h.Events {
		texts += e.Text + "@" + e.Proxy + ";"
	}
	if want := "a @" + first + ";b@" + first + ";c@" + liar + ";"; texts != want || h.Peers[2].Err == nil {
		t.Errorf("%q, want %q; %v", texts, want, h.Peers)
	}
	if text, err := json.Marshal(&History{}); err != nil || string(text) != `{"events":[],"notes":[],"peers":[]}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestPresent(t *testing.T) {
	good := says(t, `{"mesh":"shop","service":"web","instance":"w1","version":"1.2","address":"10.9.9.9:1"}`)
	p := within(t, func() []string { return []string{good, says(t, `{"service":""}`), says(t, "x"), "127.0.0.1:1"} }).Present(limited(t, patience), "shop")
	if len(p.Members) != 4 || p.Members[0].Address != good || p.Members[0].Instance != "w1" || p.Members[0].Error != "" {
		t.Fatalf("%+v", p.Members)
	}
	for i, want := range []string{"", "makes no sense", "not JSON", "connection refused"} {
		if m := p.Members[i]; !strings.Contains(m.Error, want) || m.Address == "" || m.Service == "" {
			t.Errorf("%+v, want %q", m, want)
		}
	}
}

// FuzzEvents: whatever a proxy answers, its events can be shown.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`[{"time":"2026-03-04T05:06:07Z","last":"2026-03-04T05:06:07Z","count":-1,"kind":"reload\u001b","text":"\u0007"}]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		h := &History{}
		_, _ = decodeList(strings.NewReader(string(answer)), maxEvents, func(item []byte) {
			var e Event
			if json.Unmarshal(item, &e.Event) == nil && e.check() {
				h.Events = append(h.Events, e)
			}
		})
		text, err := json.Marshal(h)
		if err != nil || strings.ContainsAny(string(text), "\x1b\x07\r") {
			t.Fatalf("%q, %v", text, err)
		}
	})
}
