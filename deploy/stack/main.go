package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

const usage = `usage:
  stack [FLAGS]          run the stack until Ctrl-C
  stack fault [FLAGS]    list the faults of the stack that runs
  stack fault NAME...    switch faults on
  stack fault off        switch all faults off
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 && args[0] == applicationCommand {
		// Ctrl-C reaches only the stack, which ends this process in its own time.
		return runApplication(context.WithoutCancel(ctx), in, out)
	}
	asked := len(args) > 0 && args[0] == "fault"
	if asked {
		args = args[1:]
	}
	var o options
	flags := flag.NewFlagSet("stack", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage, "flags:\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.dir, "dir", defaultDir(), "the stack's files and the socket for faults")
	if !asked {
		flags.StringVar(&o.hopscope, "hopscope", "bin/hopscope", "the program that the sidecars run")
		flags.StringVar(&o.admin, "admin", "127.0.0.1:9901", "where the gateway serves its admin API; on another port if that is taken")
		flags.Float64Var(&o.rate, "rate", 10, "requests a second; 0 sends none")
		flags.BoolVar(&o.jaeger, "jaeger", true, "run Jaeger")
		flags.BoolVar(&o.zipkin, "zipkin", true, "run Zipkin, which needs Java")
		flags.BoolVar(&o.prometheus, "prometheus", true, "run Prometheus")
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if asked {
		return switchFaults(ctx, o.dir, flags.Args(), out)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q\n%s", flags.Arg(0), usage)
	}
	return runStack(ctx, o, out)
}

// defaultDir has the user's id in its name: a user runs one stack at a time, and make
// stack-fault finds it.
func defaultDir() string {
	return filepath.Join(os.TempDir(), "hopscope-stack-"+strconv.Itoa(os.Getuid()))
}
