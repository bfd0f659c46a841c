package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	hopscope, haproxy string
	only              string
	duration          time.Duration
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	fs := flag.NewFlagSet("attack", flag.ContinueOnError)
	fs.StringVar(&o.hopscope, "hopscope", "bin/hopscope", "the `program` that is attacked")
	fs.StringVar(&o.haproxy, "haproxy", "haproxy", "the `program` beside it; none leaves it out")
	fs.StringVar(&o.only, "only", "", "attacks whose name contains this `text` alone")
	fs.DurationVar(&o.duration, "duration", 10*time.Second, "`time` of each attack")
	if err := fs.Parse(args); err != nil {
		return err
	}
	beside := o.haproxy != "none"
	if beside {
		if _, err := exec.LookPath(o.haproxy); err != nil {
			fmt.Fprintln(out, "HAProxy is left out:", err)
			beside = false
		}
	}
	dir, err := os.MkdirTemp("", "hopscope-attack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := startEndpoint()
	if err != nil {
		return err
	}
	defer e.close()
	fmt.Fprintf(out, "| %s |\n|---|---|---|---|---:|---:|---:|\n", strings.Join([]string{
		"attack", "limits", "proxy", "outcome", "honest requests answered", "p99 of those", "most memory"}, " | "))
	failed := 0
	for _, s := range scenarios {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		ok, err := s.row(ctx, out, dir, "hopscope", []string{o.hopscope, "run", "-c"}, s.hopscope, e, o.duration)
		if err != nil {
			s.leftOut(out, "hopscope", err)
			continue
		}
		if !ok {
			failed++
		}
		if beside && s.haproxy != "" {
			if _, err := s.row(ctx, out, dir, "HAProxy", []string{o.haproxy, "-db", "-f"}, s.haproxy, e, o.duration); err != nil {
				s.leftOut(out, "HAProxy", err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d attacks had their way with hopscope", failed)
	}
	return nil
}

// leftOut prints why there is no row of a proxy.
func (s *scenario) leftOut(out io.Writer, name string, why error) {
	first, rest, _ := strings.Cut(why.Error(), "\n")
	fmt.Fprintf(out, "| %s | %s | %s | left out: %s | | | |\n", s.name, s.limits, name, first)
	fmt.Fprint(os.Stderr, rest)
}

func (l limits) String() string {
	var all []string
	if l.memory > 0 {
		all = append(all, fmt.Sprintf("%d MiB", l.memory>>20))
	}
	if l.files > 0 {
		all = append(all, fmt.Sprintf("%d descriptors", l.files))
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, ", ")
}
