package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// proxy is a variant that runs.
type proxy struct {
	variant
	*process
	listen    string
	accessLog string // file; empty when it keeps none
	requests  int64  // that wrk counted, warm-ups included
	lines     int64  // taken from the access log so far
}

// startProxy runs a variant, alone on its core, and proves that it does what
// its configuration promises. The caller must stop it.
func (r *rig) startProxy(ctx context.Context, v variant) (*proxy, error) {
	addrs, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	p := &proxy{variant: v, listen: addrs[0]}
	if v.fileLog {
		p.accessLog = filepath.Join(r.dir, v.name+".access.log")
	}
	p.process, err = r.launch(v.name, v.program, v.config, r.cores.proxy, places{
		Listen: p.listen, Backend: r.address, Admin: addrs[1],
		OTLP: r.sink.OTLP, Syslog: r.sink.Syslog, AccessLog: p.accessLog,
	})
	if err != nil {
		return nil, err
	}
	if v.stdoutLog {
		p.accessLog = p.output
	}
	if err = p.awaitListen(ctx, p.listen); err == nil {
		err = p.prove(ctx, r.opts.bodies)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *proxy) url(body int) string { return "http://" + p.listen + "/" + strconv.Itoa(body) }

// prove asks for each body once, and what the backend saw.
func (p *proxy) prove(ctx context.Context, bodies []int) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(url string) (http.Header, []byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, nil, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return response.Header, body, err
	}
	for _, n := range bodies {
		header, body, err := get(p.url(n))
		if err != nil {
			return p.failure(fmt.Errorf("%s: %w", p.variant.name, err))
		}
		if len(body) != n {
			return fmt.Errorf("%s: an answer of %d bytes arrived with %d", p.variant.name, n, len(body))
		}
		if has := header.Get("Proxy-Status") != ""; has != p.proxyStatus {
			return fmt.Errorf("%s: response carries Proxy-Status: %t, its configuration means %t", p.variant.name, has, p.proxyStatus)
		}
	}
	_, seen, err := get("http://" + p.listen + "/seen")
	if err != nil {
		return p.failure(fmt.Errorf("%s: %w", p.variant.name, err))
	}
	if p.traceparent {
		if err := checkContext(string(seen)); err != nil {
			return fmt.Errorf("%s: %w", p.variant.name, err)
		}
	}
	return nil
}

var traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// checkContext reads what the backend saw: a traceparent (W3C Trace Context,
// section 3.2) and a request id.
func checkContext(seen string) error {
	traceparent, id, _ := strings.Cut(seen, " ")
	m := traceparentForm.FindStringSubmatch(traceparent)
	if m == nil || strings.Trim(m[1], "0") == "" || strings.Trim(m[2], "0") == "" {
		return fmt.Errorf("the backend saw traceparent %q, which is not valid", traceparent)
	}
	if strings.TrimSpace(id) == "" {
		return errors.New("the backend saw no x-request-id")
	}
	return nil
}

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
