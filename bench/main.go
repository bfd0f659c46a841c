package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// sinkArgument, as the only argument, makes the program serve as the sink of a
// run that another process of it conducts.
const sinkArgument = "sink"

// errShort is what -strict ends with when targets or views fall short.
var errShort = errors.New("targets missed or views undelivered")

// errNothing says that the flags leave nothing to measure.
var errNothing = errors.New("nothing to measure: -rounds is 0; idle connections are measured with -idle above 0 and " + hopscopeFull +
	" among the variants, endpoints' memory and Consul's changes with -endpoints and -changes above 0 and " + hopscopeOne + " among them")

func main() {
	if len(os.Args) == 2 && os.Args[1] == sinkArgument {
		exit(serveSink(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == checkArgument {
		exit(check(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
	exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: interrupted, nothing saved")
		os.Exit(130)
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// run measures what the arguments ask for, saves it, and prints the report to
// stdout; progress goes to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	opts, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the benchmark reads CPU times from /proc and runs on Linux only, not on %s", runtime.GOOS)
	}
	if opts.rounds == 0 && !opts.measuresIdle() && !opts.measuresMemory() && !opts.measuresDiscovery() {
		return errNothing
	}
	r, err := newRig(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()

	res, err := r.conduct(ctx, stderr)
	if ctx.Err() != nil {
		return ctx.Err() // what failed, failed because of it
	}
	if err != nil {
		return err
	}
	paths, err := save(opts.out, res)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, markdown(res))
	if opts.targets {
		fmt.Fprintln(stdout)
		if err := writeTargets(stdout, res.Targets); err != nil {
			return err
		}
	}
	fmt.Fprintf(stderr, "saved %s and %s\n", paths[0], paths[1])
	if opts.strict && shortfalls(res) > 0 {
		return errShort
	}
	return nil
}

// conduct makes all measurements and puts the result together.
func (r *rig) conduct(ctx context.Context, progress io.Writer) (result, error) {
	m, err := readMachine()
	if err != nil {
		return result{}, err
	}
	m.Versions = r.versions(runtime.Version())
	res := result{Measured: time.Now(), Machine: m, Method: r.method()}
	for _, note := range res.Method.Notes {
		fmt.Fprintln(progress, "note:", note)
	}
	began, err := r.readClock()
	if err != nil {
		return result{}, err
	}
	cells := cellsOf(r.opts)
	if r.opts.rounds > 0 {
		loads := loadsOf(r.opts)
		fmt.Fprintf(progress, "%d loads, about %v\n", loads, time.Duration(loads)*(r.opts.duration+r.opts.warmup))
		if res.Samples, res.Views, err = r.measure(ctx, progress); err != nil {
			return result{}, err
		}
		var names []string
		for _, v := range r.opts.variants {
			names = append(names, v.name)
		}
		res.Rows = summarise(res.Samples, cells, names)
	}
	if err := r.conductApart(ctx, progress, &res); err != nil {
		return result{}, err
	}
	ended, err := r.readClock()
	if err != nil {
		return result{}, err
	}
	res.Machine.OthersPercent, res.Machine.StolenPercent = began.shares(ended)
	res.Method.Notes = append(res.Method.Notes, disturbance(res.Machine)...)
	res.Targets = judge(res.Samples, cells, res.Idle)
	return res, nil
}

// conductApart makes the measurements that stand by themselves, without rounds.
func (r *rig) conductApart(ctx context.Context, progress io.Writer, res *result) (err error) {
	if v, ok := r.opts.variant(hopscopeFull); ok && r.opts.measuresIdle() {
		fmt.Fprintf(progress, "%d idle connections to %s\n", r.opts.idle, v.name)
		if res.Idle, err = r.measureIdle(ctx, v, r.opts.idle); err != nil {
			return err
		}
	}
	if v, ok := r.opts.variant(hopscopeOne); ok && r.opts.measuresMemory() {
		if res.Memory, err = r.measureMemory(ctx, progress, v, r.opts.endpoints); err != nil {
			return err
		}
	}
	if _, found := r.programs["consul"]; found && r.opts.measuresDiscovery() {
		res.Discovery, err = r.measureDiscovery(ctx, progress, r.opts.changes)
	}
	return err
}

// disturbance warns of a run beside other work.
func disturbance(m machine) []string {
	const quiet = 5 // per cent of all cores
	if m.OthersPercent+m.StolenPercent <= quiet {
		return nil
	}
	return []string{fmt.Sprintf("this run was disturbed: other processes and the hypervisor took %.1f %% of the CPU time of all cores. Repeat it on a quiet machine.",
		m.OthersPercent+m.StolenPercent)}
}

// method describes the rig for the report.
func (r *rig) method() method {
	m := method{
		Rounds:          r.opts.rounds,
		DurationSeconds: r.opts.duration.Seconds(),
		WarmupSeconds:   r.opts.warmup.Seconds(),
		Pinned:          r.cores.proxy != unpinned,
		ProxyCore:       r.cores.proxy,
		LoadCore:        r.cores.load,
	}
	for _, note := range []string{r.cores.note, r.missing} {
		if note != "" {
			m.Notes = append(m.Notes, note)
		}
	}
	return m
}
