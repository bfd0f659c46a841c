package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewDelays(t *testing.T) {
	got := newDelays([]time.Duration{3 * time.Millisecond, 500 * time.Microsecond, 40 * time.Millisecond, time.Millisecond})
	want := delays{Changes: 4, MedianMillis: 2, MaxMillis: 40, Millis: []float64{3, 0.5, 40, 1}}
	if diff := cmp.Diff(want, got, cmp.Comparer(near)); diff != "" {
		t.Error(diff)
	}
	if none := newDelays(nil); none.MaxMillis != 0 || none.Changes != 0 {
		t.Errorf("no times give %+v", none)
	}
}

func TestSightings(t *testing.T) {
	start := time.Unix(1000, 0)
	s := sightings{by: map[string]sighting{}}
	if s.has("a") {
		t.Error("has seen what was not there")
	}
	s.note("a", start)
	s.note("a", start.Add(time.Second))
	if got := s.by["a"]; !got.first.Equal(start) || !got.last.Equal(start.Add(time.Second)) || got.answer != 2 {
		t.Errorf("two answers are kept as %+v", got)
	}
	for i := range goneAnswers {
		s.now = start.Add(time.Hour)
		if s.gone("a") {
			t.Fatalf("gone after %d answers of others", i)
		}
		s.note("b", start.Add(2*time.Second))
	}
	s.now = start.Add(time.Second + goneAfter - 1)
	if s.gone("a") {
		t.Error("gone before the time is over")
	}
	s.now = s.now.Add(1)
	if !s.gone("a") {
		t.Error("not gone after so many answers and so much time")
	}
	if s.now = start.Add(time.Hour); s.gone("b") {
		t.Error("gone although nobody else has answered since")
	}
}

// A server that answers with another name after a while.
func TestCallerSeesWhoAnswers(t *testing.T) {
	var name atomic.Pointer[string]
	set := func(s string) { name.Store(&s) }
	set("old")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if *name.Load() == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, *name.Load())
	}))
	defer server.Close()
	c := startCaller(server.URL)
	defer c.stop()
	expect := func(what string, enough func(sightings) bool) {
		t.Helper()
		if err := c.await(t.Context(), what, enough); err != nil {
			t.Fatal(err)
		}
	}
	expect("the old name", func(s sightings) bool { return s.has("old") })
	before := time.Now()
	set("new")
	expect("the new name", func(s sightings) bool { return s.has("new") })
	expect("the end of the old name", func(s sightings) bool { return s.gone("old") })
	_, lastOld := c.seen("old")
	firstNew, lastNew := c.seen("new")
	if firstNew.Before(before) || !lastOld.Before(firstNew) || !firstNew.Before(lastNew) {
		t.Errorf("old until %v, new from %v to %v", lastOld, firstNew, lastNew)
	}
	set("")
	err := c.await(t.Context(), "nothing", func(sightings) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a failed request ends the asking with %v", err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	c := startCaller(server.URL)
	defer c.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.await(ctx, "a miracle", func(sightings) bool { return false }); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "a miracle") {
		t.Errorf("await: %v", err)
	}
}

func TestConsulIsNotNeededButWhenNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	r := &rig{opts: options{variants: variants(), changes: 1}, programs: map[string]string{}}
	if err := r.findConsul(); err != nil || r.programs["consul"] != "" {
		t.Errorf("without one: %v, %v", err, r.programs)
	}
	if notes := r.method().Notes; len(notes) == 0 || !strings.Contains(notes[len(notes)-1], "not measured") {
		t.Errorf("the report does not tell: %q", notes)
	}
	r.opts.consul = "/nowhere/consul"
	if err := r.findConsul(); err == nil || !strings.Contains(err.Error(), "-consul") {
		t.Errorf("one that is not there: %v", err)
	}
	r.opts.changes, r.missing = 0, ""
	if err := r.findConsul(); err != nil || r.missing != "" {
		t.Errorf("one that is not needed: %v, %q", err, r.missing)
	}
}
