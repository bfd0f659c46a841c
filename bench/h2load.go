package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// h2load 1.52 prints no percentiles of latencies, so its loads have none.
var (
	h2loadRequests = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadStatuses = regexp.MustCompile(`(?m)^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2loadElapsed  = regexp.MustCompile(`(?m)^finished in (\S+), `)
)

// parseH2load reads the output of h2load. As with wrk, any failed request is an error.
// Those in flight when the time is over are not among its requests.
func parseH2load(out string) (load, error) {
	m := h2loadRequests.FindStringSubmatch(out)
	statuses := h2loadStatuses.FindStringSubmatch(out)
	elapsed := h2loadElapsed.FindStringSubmatch(out)
	if m == nil || statuses == nil || elapsed == nil {
		return load{}, fmt.Errorf("h2load: no count of requests in its output:\n%s", out)
	}
	failures := append(statuses[1:], m[3:]...)
	if m[2] != m[1] || slices.ContainsFunc(failures, func(n string) bool { return n != "0" }) {
		return load{}, fmt.Errorf("requests failed: %s; %s", m[0], statuses[0])
	}
	var l load
	var err error
	if l.requests, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return load{}, fmt.Errorf("h2load: requests: %w", err)
	}
	if l.elapsed, err = parseLoadTime("h2load", elapsed[1]); err != nil {
		return load{}, err
	}
	if l.requests == 0 || l.elapsed <= 0 {
		return load{}, fmt.Errorf("h2load: no request was answered:\n%s", out)
	}
	return l, nil
}

// h2loadArguments is the command line of a load on url. A message, if there is one,
// is the file of a gRPC request to send each time.
func h2loadArguments(path string, c cell, d time.Duration, url, message string) []string {
	argv := []string{path, "-t1", "-c" + strconv.Itoa(c.Connections), "-m" + strconv.Itoa(c.Streams),
		"-D" + strconv.Itoa(int(d.Seconds()))}
	if message != "" {
		argv = append(argv, "-d", message, "-H", "content-type: application/grpc", "-H", "te: trailers")
	}
	return append(argv, url)
}

// runH2load puts load on url from one thread on core. Cancelling ctx ends it.
func runH2load(ctx context.Context, core int, argv []string, began func(group int)) (load, error) {
	out, err := runTool(ctx, core, argv, began)
	if err != nil {
		return load{}, err
	}
	return parseH2load(out)
}

// writeMessage stores a gRPC request with n bytes of message in a file.
func writeMessage(path string, n int) error {
	return os.WriteFile(path, frame([]byte(filler(n))), 0o644)
}
