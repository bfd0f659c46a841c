package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

// scenario is an attack with the limits and the configuration of its victim.
type scenario struct {
	name   string
	limits limits
	// hopscope and haproxy are the configurations, templates of places; haproxy is ""
	// where HAProxy has nothing of the kind.
	hopscope, haproxy string
	// attack goes on until ctx is done. Its error is that it could not be made; that
	// the proxy turned it away is none.
	attack func(ctx context.Context, p places) error
	// after looks at the proxy when the attack is over, and may end it; nil is that there
	// is nothing to see.
	after func(p places, proxy *sandbox) error
	// least is the least share of honest requests that must be answered.
	least float64
}

// places are the addresses of a scenario.
type places struct {
	// Of the proxy: a listener in front of Endpoint, Refused and Stalled, one in front
	// of Endpoint alone, those in front of Echo and of Endless, a forward proxy, and the
	// admin API.
	Listen, Other, Echoing, Interim, Forward, Admin string
	// Of endpoints: one that answers, one that does nothing, one that nobody listens
	// at, one that answers with what it got, and one with endless interim responses.
	Endpoint, Stalled, Refused, Echo, Endless string
	// Dir is a folder, and PID the proxy's process.
	Dir string
	PID int
}

// row makes the attack on one proxy and prints what came of it: whether that is well.
func (s *scenario) row(ctx context.Context, out io.Writer, dir, name string, argv []string, config string, e *endpoint, d time.Duration) (bool, error) {
	p := places{Endpoint: e.address, Stalled: e.stalled, Refused: e.refused, Echo: e.echo, Endless: e.endless, Dir: dir}
	if err := freeAddresses(&p.Listen, &p.Other, &p.Echoing, &p.Interim, &p.Forward, &p.Admin); err != nil {
		return false, err
	}
	file := filepath.Join(dir, strings.ToLower(name)+".conf")
	if err := write(file, config, p); err != nil {
		return false, err
	}
	proxy, err := start(append(argv, file), s.limits)
	if err != nil {
		return false, err
	}
	defer proxy.stop()
	p.PID = proxy.cmd.Process.Pid
	if err := proxy.await(ctx, p.Listen); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var failure error
	var under sync.WaitGroup
	under.Go(func() { failure = s.attack(ctx, p) })
	time.Sleep(min(time.Second, d/4)) // until it is under way
	got := ask(ctx, "http://"+p.Listen+"/ok")
	cancel()
	under.Wait()
	most := proxy.peak()
	outcome, well := "lived", proxy.lives()
	if failure == nil && well && s.after != nil {
		failure = s.after(p, proxy)
	}
	switch {
	case !well:
		outcome = fmt.Sprintf("**died**: %v", proxy.err)
	case errors.Is(failure, errHad):
		outcome, well = fmt.Sprintf("**%v**", failure), false
	case failure != nil:
		return false, failure
	}
	share := float64(got.good) / float64(max(1, got.good+got.bad))
	fmt.Fprintf(out, "| %s | %s | %s | %s | %d of %d (%.1f %%) | %d ms | %.0f MiB |\n", s.name, s.limits, name, outcome,
		got.good, got.good+got.bad, 100*share, got.worst.Milliseconds(), float64(most)/(1<<20))
	if got.why != "" {
		fmt.Fprintf(os.Stderr, "%s, %s: the last honest request that failed: %s\n", s.name, name, got.why)
	}
	return well && share >= s.least, nil
}

func write(file, config string, p places) error {
	t, err := template.New("").Funcs(template.FuncMap{"fifo": fifo}).Parse(config)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.Execute(f, p)
}

// fifo makes a FIFO in a folder.
func fifo(dir string) (string, error) {
	path := filepath.Join(dir, "fifo")
	return path, syscall.Mkfifo(path, 0o600)
}

// freeAddresses finds addresses that nothing listens on, each another.
func freeAddresses(at ...*string) error {
	for _, address := range at {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close() // at the end, so that none comes twice
		*address = l.Addr().String()
	}
	return nil
}
