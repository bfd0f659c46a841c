package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is what wrk or h2load saw of one load.
type load struct {
	requests int64
	elapsed  time.Duration
	p50, p99 time.Duration // 0: not told
}

// wrk reports only the error lines that it has something to say in.
var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in (\S+),`)
	wrkLatency  = regexp.MustCompile(`(?m)^\s*(50|99)%\s+(\S+)\s*$`)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*((?:Socket errors|Non-2xx or 3xx responses):.*)$`)
)

// parseWrk reads the output of wrk --latency. Any failed request is an error:
// a measurement that has one is not a measurement.
func parseWrk(out string) (load, error) {
	if failed := wrkErrors.FindAllStringSubmatch(out, -1); failed != nil {
		var lines []string
		for _, m := range failed {
			lines = append(lines, strings.TrimSpace(m[1]))
		}
		return load{}, fmt.Errorf("requests failed: %s", strings.Join(lines, "; "))
	}
	var l load
	m := wrkRequests.FindStringSubmatch(out)
	if m == nil {
		return load{}, fmt.Errorf("wrk: no count of requests in its output:\n%s", out)
	}
	var err error
	if l.requests, err = strconv.ParseInt(m[1], 10, 64); err != nil {
		return load{}, fmt.Errorf("wrk: requests: %w", err)
	}
	if l.elapsed, err = parseLoadTime("wrk", m[2]); err != nil {
		return load{}, err
	}
	for _, m := range wrkLatency.FindAllStringSubmatch(out, -1) {
		d, err := parseLoadTime("wrk", m[2])
		if err != nil {
			return load{}, err
		}
		if m[1] == "50" {
			l.p50 = d
		} else {
			l.p99 = d
		}
	}
	if l.requests == 0 || l.elapsed <= 0 || l.p50 <= 0 || l.p99 <= 0 {
		return load{}, fmt.Errorf("wrk: no request was answered, or no latency printed:\n%s", out)
	}
	return l, nil
}

// parseLoadTime reads a time as wrk and h2load print it: 664.00us, 1.05ms, 5.10s, 1.00m.
func parseLoadTime(tool, s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s: %q is not a time", tool, s)
	}
	return d, nil
}

// wrkArguments is the command line of a load on url.
func wrkArguments(path string, c cell, d time.Duration, url string) []string {
	argv := []string{path, "-t1", "-c" + strconv.Itoa(c.Connections), fmt.Sprintf("-d%ds", int(d.Seconds())), "--latency"}
	if c.Fresh {
		// wrk then opens another connection for the next request, and resumes no session.
		argv = append(argv, "-H", "Connection: close")
	}
	for _, field := range groupOf(c.Group).fields {
		argv = append(argv, "-H", field)
	}
	return append(argv, url)
}

// runWrk puts load on url from one thread on core. Cancelling ctx ends it.
func runWrk(ctx context.Context, core int, argv []string, began func(group int)) (load, error) {
	out, err := runTool(ctx, core, argv, began)
	if err != nil {
		return load{}, err
	}
	return parseWrk(out)
}

// runTool runs a load generator on core to its end and returns what it printed. It calls
// began, unless that is nil, with the process group once it runs.
func runTool(ctx context.Context, core int, argv []string, began func(group int)) (string, error) {
	cmd := newCommand(core, argv, nil)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start %s: %w", argv[0], err)
	}
	if began != nil {
		began(cmd.Process.Pid)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out.Bytes())
	}
	return out.String(), nil
}
