package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// proxy is a variant that runs.
type proxy struct {
	variant
	*process
	listen    string
	accessLog string          // file; empty when it keeps none
	requests  int64           // that were counted, warm-ups included
	lines     int64           // taken from the access log so far
	began     func(group int) // if not nil: called with the process group of each load on it
}

// startProxy runs a variant, alone on its core, and proves that it does what
// its configuration promises. The caller must stop it.
func (r *rig) startProxy(ctx context.Context, v variant) (*proxy, error) {
	p, err := r.launchProxy(v, places{
		Backend:   r.backendOf(v.group),
		Endpoints: endpointAddresses(v.endpoints, r.port), OtherRoutes: otherRoutes(max(0, v.routes-1)),
	})
	if err != nil {
		return nil, err
	}
	if err = p.awaitListen(ctx, p.listen); err == nil {
		err = p.prove(ctx, groupOf(v.group).answers(r.opts), r.shown.roots)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// launchProxy runs a variant, alone on its core. The places are those that the caller
// knows of; the others are filled in.
func (r *rig) launchProxy(v variant, at places) (*proxy, error) {
	addrs, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	p := &proxy{variant: v, listen: addrs[0]}
	if v.fileLog {
		p.accessLog = filepath.Join(r.dir, v.name+".access.log")
	}
	at.Listen, at.Admin, at.Service = p.listen, addrs[1], v.name
	at.OTLP, at.Syslog, at.AccessLog = r.sink.OTLP, r.sink.Syslog, p.accessLog
	at.Cert, at.Key, at.Pair = r.shown.cert, r.shown.key, r.shown.pair
	if p.process, err = r.launch(v.name, v.program, v.config, r.cores.proxy, at); err != nil {
		return nil, err
	}
	if v.stdoutLog {
		p.accessLog = p.output
	}
	return p, nil
}

// base is the URL of the proxy without a path.
func (p *proxy) base() string {
	if groupOf(p.group).tls {
		return "https://" + p.listen
	}
	return "http://" + p.listen
}

func (p *proxy) url(body int) string { return p.base() + "/" + strconv.Itoa(body) }

// takeLog counts the lines of the access log and empties the file, so that no
// disk fills up. The proxy must be idle or ended.
func (p *proxy) takeLog() error {
	if p.accessLog == "" {
		return nil
	}
	file, err := os.OpenFile(p.accessLog, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%s: access log: %w", p.variant.name, err)
	}
	defer file.Close()
	n, err := countLines(file)
	if err != nil {
		return err
	}
	p.lines += n
	return file.Truncate(0)
}

func countLines(r io.Reader) (int64, error) {
	var lines int64
	buffer := make([]byte, 256<<10)
	for {
		n, err := r.Read(buffer)
		lines += int64(bytes.Count(buffer[:n], []byte{'\n'}))
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
	}
}

// deliveries compares the views that arrived with what was configured.
func (p *proxy) deliveries(c sinkCounts) []delivery {
	var all []delivery
	if p.fileLog || p.stdoutLog {
		all = append(all, newDelivery(p.variant.name, "access log lines (file)", p.lines, p.requests, 1, 0.99))
	}
	if p.syslog {
		// UDP: what the sink missed, the proxy sent and paid for.
		all = append(all, newDelivery(p.variant.name, "syslog datagrams (UDP)", c.Syslog, p.requests, 1, 0))
	}
	if p.spans > 0 {
		// Sampling is by chance: leave it room in a short run.
		all = append(all, newDelivery(p.variant.name, "spans (OTLP gRPC)", c.Spans[p.variant.name], p.requests, p.spans, 0.9))
	}
	return all
}
