package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// caller asks a URL all the time, one request after the other on one connection, and
// keeps in mind who answered when. A request that fails ends it.
type caller struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu  sync.Mutex
	saw sightings
	err error // what ended it
}

// sightings is who has answered so far.
type sightings struct {
	now     time.Time
	answers int // of all
	by      map[string]sighting
}

// sighting is when one server has answered.
type sighting struct {
	first, last time.Time
	answer      int // the number of its last answer among all
}

// has reports whether a server has answered.
func (s sightings) has(name string) bool { return !s.by[name].first.IsZero() }

// gone reports whether a server, which has answered before, does so no more.
func (s sightings) gone(name string) bool {
	seen := s.by[name]
	return s.now.Sub(seen.last) >= goneAfter && s.answers-seen.answer >= goneAnswers
}

// note adds one answer.
func (s *sightings) note(name string, at time.Time) {
	s.answers++
	seen := s.by[name]
	if seen.first.IsZero() {
		seen.first = at
	}
	seen.last, seen.answer = at, s.answers
	s.by[name] = seen
}

// startCaller begins to ask. The caller's caller must stop it.
func startCaller(url string) *caller {
	ctx, cancel := context.WithCancel(context.Background())
	c := &caller{cancel: cancel, ended: make(chan struct{}), saw: sightings{by: map[string]sighting{}}}
	go func() {
		defer close(c.ended)
		err := c.askOn(ctx, url)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err = err
	}()
	return c
}

func (c *caller) askOn(ctx context.Context, url string) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	for {
		name, err := get(ctx, client, url)
		if err != nil {
			return err
		}
		at := time.Now()
		c.mu.Lock()
		c.saw.note(name, at)
		c.mu.Unlock()
	}
}

// stop ends the asking.
func (c *caller) stop() {
	c.cancel()
	<-c.ended
}

// await waits until what has been seen is enough.
func (c *caller) await(ctx context.Context, what string, enough func(sightings) bool) error {
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		c.mu.Lock()
		c.saw.now = time.Now()
		done, err := enough(c.saw), c.err
		c.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		case <-poll.C:
		}
	}
}

// seen is when a server answered first and last.
func (c *caller) seen(name string) (first, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.saw.by[name]
	return s.first, s.last
}

// get returns the body of one answer, which must be of status 200.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New("a request failed: " + response.Status)
	}
	return string(body), err
}

// getOnce is get on a connection of its own.
func getOnce(ctx context.Context, url string) (string, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return get(ctx, client, url)
}
