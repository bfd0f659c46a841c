package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// socketOf is where the stack that has its files in dir takes orders.
func socketOf(dir string) string { return filepath.Join(dir, "control") }

// errRuns says that another stack uses the same directory.
var errRuns = errors.New("a stack runs already: end it with Ctrl-C, or give this one another --dir")

// listen opens the socket for orders. A stack that was killed leaves one behind.
func listen(dir string) (net.Listener, error) {
	path := socketOf(dir)
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return nil, errRuns
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	return net.Listen("unix", path)
}

// control answers orders: a GET of /faults lists them, a POST has the list of names to
// switch on, a DELETE switches all off. Each answers with the list.
func (s *stack) control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch r.Method {
		case http.MethodPost:
			var names []string
			if err = json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&names); err == nil {
				err = s.switchOn(r.Context(), names)
			}
		case http.MethodDelete:
			err = s.switchOff(r.Context())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.faults) // an error means that whoever asked is gone
	})
}

// switchFaults asks the stack that runs, and prints what it says.
func switchFaults(ctx context.Context, dir string, names []string, out io.Writer) error {
	method := http.MethodGet
	switch {
	case slices.Equal(names, []string{"off"}):
		method = http.MethodDelete
	case len(names) > 0:
		method = http.MethodPost
	}
	body, err := json.Marshal(names)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketOf(dir))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://stack/faults", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		return errors.New("no stack runs: start one with make stack")
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(string(bytes.TrimSpace(answer)))
	}
	var all []*fault
	if err := json.Unmarshal(answer, &all); err != nil {
		return err
	}
	for _, f := range all {
		state := "off"
		if f.On {
			state = "ON"
		}
		fmt.Fprintf(out, "%-3s  %-16s %s\n%22s-> %s\n", state, f.Name, f.What, "", f.Expect)
	}
	return nil
}
