package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func (c cell) String() string {
	text := fmt.Sprintf("%d connections", c.Connections)
	if c.Streams > 0 {
		text += fmt.Sprintf(" of %d streams", c.Streams)
	}
	switch {
	case c.Fresh && groupOf(c.Group).tls:
		text += ", a handshake each request"
	case c.Fresh:
		text += ", a connection each request"
	}
	if title := groupOf(c.Group).title; title != "" {
		text = title + ", " + text
	}
	return text + fmt.Sprintf(", %s answers", sizeText(c.BodyBytes))
}

// sizeText prints a number of bytes: 98-byte, 10 KiB.
func sizeText(n int) string {
	if n%1024 == 0 {
		return strconv.Itoa(n/1024) + " KiB"
	}
	return strconv.Itoa(n) + "-byte"
}

// markdown renders a result for people.
func markdown(r result) string {
	var b strings.Builder
	b.WriteString("# Side by side: hopscope, HAProxy, nginx\n\n")
	writeMachine(&b, r)
	for _, note := range r.Method.Notes {
		fmt.Fprintf(&b, "**Note:** %s\n\n", note)
	}
	if len(r.Rows) > 0 {
		writeMethod(&b, r.Method)
		writeRows(&b, r.Rows)
	}
	if len(r.Views) > 0 {
		writeViews(&b, r.Views)
	}
	if r.Idle != nil {
		writeIdle(&b, *r.Idle)
	}
	if r.Memory != nil {
		writeMemory(&b, *r.Memory)
	}
	if r.Discovery != nil {
		writeDiscovery(&b, *r.Discovery)
	}
	if len(r.Targets) > 0 {
		writeVerdicts(&b, r.Targets)
	}
	return b.String()
}

func writeMachine(b *strings.Builder, r result) {
	m := r.Machine
	fmt.Fprintf(b, "Measured %s.\n\n", r.Measured.UTC().Format("2006-01-02 15:04 MST"))
	b.WriteString("| machine | |\n|---|---|\n")
	line := func(name, value string) { fmt.Fprintf(b, "| %s | %s |\n", name, cellText(value)) }
	line("CPU", m.CPU)
	line("cores", fmt.Sprintf("%d%s", m.Cores, virtualText(m.Virtual)))
	line("memory", fmt.Sprintf("%.1f GiB", float64(m.MemoryBytes)/(1<<30)))
	line("system", m.System)
	line("load average at the start", m.LoadAverage)
	line("CPU time that processes outside the benchmark used meanwhile", fmt.Sprintf("%.1f %% of all cores", m.OthersPercent))
	line("CPU time the hypervisor gave to others meanwhile", fmt.Sprintf("%.2f %% of all cores", m.StolenPercent))
	for _, v := range m.Versions {
		line(v.Program, v.Version)
	}
	b.WriteString("\n")
}

func virtualText(virtual bool) string {
	if virtual {
		return " (virtual machine)"
	}
	return ""
}

func writeMethod(b *strings.Builder, m method) {
	b.WriteString("## How\n\n")
	if m.Pinned {
		fmt.Fprintf(b, "The proxy runs alone on core %d with one worker thread; the load generator (one thread), the backends and the sinks share core %d. ", m.ProxyCore, m.LoadCore)
	} else {
		b.WriteString("Nothing is pinned to a core; each proxy has one worker thread. ")
	}
	fmt.Fprintf(b, "Rounds: %d. In each, every load is put on every variant in turn, the order rotating from load to load and round to round. ", m.Rounds)
	fmt.Fprintf(b, "Each measured load lasts %g s and follows a like one of %g s that is not counted. ", m.DurationSeconds, m.WarmupSeconds)
	b.WriteString("CPU is the user and system time that the operating system booked on the proxy's processes during the load (`/proc/PID/stat`), divided by the requests that the load generator counted: wrk, or h2load for HTTP/2. ")
	b.WriteString("Every figure is the median over rounds, with lowest and highest in brackets for CPU; the ratio is the median of each round's ratio to the bare HAProxy, the first row, in the same round; ")
	b.WriteString("where variants differ in their endpoints and routes, it is to the same proxy with one of each, and where they differ in what a route does, to the plain route. ")
	b.WriteString("Latencies are wrk's at full load (closed loop); h2load tells none. No request failed: one would have ended the run. ")
	b.WriteString("The configurations are in `bench/configs/`.\n\n")
}

// writeRows writes a table for each cell; rows of a cell stand together.
func writeRows(b *strings.Builder, rows []row) {
	for i, r := range rows {
		if i == 0 || rows[i-1].cell != r.cell {
			if i > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(b, "## %s\n\n", r.cell)
			b.WriteString("| variant | CPU µs a request | ratio | user | system | requests/s | p50 ms | p99 ms |\n")
			b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|\n")
		}
		fmt.Fprintf(b, "| %s | %.2f (%.2f to %.2f) | %s | %.2f | %.2f | %.0f | %s | %s |\n",
			r.Variant, r.CPUMicros, r.CPULowest, r.CPUHighest, ratioText(r.Ratio),
			r.UserMicros, r.SystemMicros, r.RequestsPerSecond, latencyText(r.P50Micros), latencyText(r.P99Micros))
	}
	b.WriteString("\n")
}

func ratioText(q *float64) string {
	if q == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *q)
}

// latencyText prints microseconds as milliseconds.
func latencyText(us float64) string {
	if us == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", us/1000)
}

func writeViews(b *strings.Builder, views []delivery) {
	b.WriteString("## What arrived of the views\n\n")
	b.WriteString("Counted at the receiving end over all loads, warm-ups included.\n\n")
	b.WriteString("| variant | view | requests | a request | configured | |\n|---|---|---:|---:|---:|---|\n")
	for _, d := range views {
		remark := ""
		if d.Undelivered {
			remark = "**undelivered: this variant's figures leave out work**"
		}
		fmt.Fprintf(b, "| %s | %s | %d | %.4f | %g | %s |\n", d.Variant, d.View, d.Requests, d.PerRequest, d.Promised, remark)
	}
	b.WriteString("\n")
}

func writeIdle(b *strings.Builder, i idle) {
	b.WriteString("## Idle connections\n\n")
	fmt.Fprintf(b, "`%s`, freshly started, %d requests on one connection, then %d keep-alive connections, each of which did one request and stayed open: **%.0f bytes** of resident memory a connection (%.1f MiB before them, %.1f MiB with them). ",
		i.Variant, i.Connections, i.Connections, i.PerConnection, mib(i.BeforeBytes), mib(i.AfterBytes))
	writeSettled(b, i.Settled)
	b.WriteString("All of them answered a second request afterwards. Socket memory in the kernel is not in it.\n\n")
}

// writeSettled says when resident memory was read.
func writeSettled(b *strings.Builder, settled bool) {
	if settled {
		fmt.Fprintf(b, "Read once resident memory had kept within %.1f %% for %v. ", settleSpread*100, settleWindow)
	} else {
		fmt.Fprintf(b, "**Read while still changing: it did not settle in %v.** ", settleLimit)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func writeVerdicts(b *strings.Builder, verdicts []verdict) {
	b.WriteString("## Targets\n\n| target | load | at most | measured | |\n|---|---|---:|---:|---|\n")
	for _, v := range verdicts {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", v.Target, v.Load, figure(v.Limit), figure(v.Measured), v.word())
	}
}

// cellText keeps a value from breaking its table.
func cellText(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

// save writes results.json and results.md into dir and returns their paths.
func save(dir string, r result) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	paths := []string{filepath.Join(dir, "results.json"), filepath.Join(dir, "results.md")}
	if err := os.WriteFile(paths[0], append(text, '\n'), 0o644); err != nil {
		return nil, err
	}
	return paths, os.WriteFile(paths[1], []byte(markdown(r)), 0o644)
}
