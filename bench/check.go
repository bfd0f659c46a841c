package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// checkArgument, as the first argument, compares this tree's hopscope with that
// of another revision instead of with other proxies.
const checkArgument = "check"

// hopscopeBase is the program that the revision to compare with is built into.
const hopscopeBase = "hopscope-base"

// minCheckRounds is the fewest rounds that an interval says something after.
const minCheckRounds = 5

// errSlower is what a check ends with that found a row slower for sure.
var errSlower = errors.New("at least one row costs more than the limit, and not by chance")

// checkOptions is the command line of a check.
type checkOptions struct {
	base     string // revision, as git names it
	rounds   int
	duration time.Duration // of each load
	rows     []checkRow
	limit    float64
}

// checkRow is a configuration of hopscope under one load.
type checkRow struct {
	name    string
	variant string
	cell    cell
}

// checkRows lists what a change of the hot path is judged by.
func checkRows() []checkRow {
	const connections, small, medium = 32, 98, 10 << 10
	http1 := func(group string, body int) cell {
		return cell{Group: group, Connections: connections, BodyBytes: body}
	}
	http2 := func(group string) cell {
		return cell{Group: group, Connections: http2Connections, Streams: http2Streams, BodyBytes: small}
	}
	return []checkRow{
		{"http1", hopscopeFull, http1(groupHTTP1, small)},
		{"http1-10k", hopscopeFull, http1(groupHTTP1, medium)},
		{"http1-off", hopscopeOff, http1(groupHTTP1, small)},
		{"h2", hopscopeH2, http2(groupH2)},
		{"h2h2", hopscopeH2H2, http2(groupH2H2)},
		{"tls", hopscopeTLS, http1(groupTLS, small)},
		{"grpc", hopscopeGRPC, http2(groupGRPC)},
	}
}

func checkRowNames() string {
	var names []string
	for _, r := range checkRows() {
		names = append(names, r.name)
	}
	return strings.Join(names, ",")
}

// parseCheckOptions reads the command line of a check. It prints usage to w and
// returns flag.ErrHelp when help was asked for.
func parseCheckOptions(args []string, w io.Writer) (checkOptions, error) {
	var o checkOptions
	var only string
	fs := flag.NewFlagSet("bench check", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints errors
	fs.StringVar(&o.base, "base", "", "revision to compare this tree with, as git names it (required)")
	fs.IntVar(&o.rounds, "rounds", 10, fmt.Sprintf("rounds over all rows, %d at least", minCheckRounds))
	fs.DurationVar(&o.duration, "duration", 3*time.Second, "length of the load in each round, which both binaries share")
	fs.StringVar(&only, "only", checkRowNames(), "rows to compare, comma separated")
	fs.Float64Var(&o.limit, "limit", 1.02, "ratio of CPU a request, this tree's to the other revision's, above which a row fails")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(w, "go run ./bench check -base REV compares hopscope of this tree with that of another revision; bench/README.md tells more.")
			fs.SetOutput(w)
			fs.PrintDefaults()
		}
		return checkOptions{}, err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q: every setting is a flag, see check -help", fs.Arg(0)))
	}
	if o.base == "" {
		errs = append(errs, errors.New("-base is missing: name the revision to compare with, as in make bench-check BASE=main"))
	}
	if o.rounds < minCheckRounds {
		errs = append(errs, fmt.Errorf("-rounds %d: must be %d or more", o.rounds, minCheckRounds))
	}
	if o.duration < minDuration || o.duration%time.Second != 0 {
		errs = append(errs, fmt.Errorf("-duration %v: must be whole seconds, %v or more", o.duration, minDuration))
	}
	if o.limit <= 0 {
		errs = append(errs, fmt.Errorf("-limit %v: must be above 0", o.limit))
	}
	var err error
	if o.rows, err = selectCheckRows(only); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

// selectCheckRows returns the rows that the list names, in the order of the table.
func selectCheckRows(list string) ([]checkRow, error) {
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if !slices.Contains(strings.Split(checkRowNames(), ","), names[i]) {
			return nil, fmt.Errorf("-only: no row %q; there are %s", names[i], checkRowNames())
		}
	}
	return slices.DeleteFunc(checkRows(), func(r checkRow) bool { return !slices.Contains(names, r.name) }), nil
}

// rigOptions are the options of a rig that can run all rows.
func (o checkOptions) rigOptions() (options, error) {
	opts := options{duration: o.duration, warmup: time.Second}
	for _, row := range o.rows {
		opts.connections, opts.bodies = addNew(opts.connections, row.cell.Connections), addNew(opts.bodies, row.cell.BodyBytes)
		if _, ok := opts.variant(row.variant); ok {
			continue
		}
		chosen, err := selectVariants(row.variant)
		if err != nil {
			return options{}, err
		}
		opts.variants = append(opts.variants, chosen...)
	}
	return opts, nil
}

func addNew(list []int, n int) []int {
	if slices.Contains(list, n) {
		return list
	}
	return append(list, n)
}

// check compares what the arguments ask for and prints a table to stdout; progress
// goes to stderr. It returns errSlower if a row is slower for sure.
func check(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseCheckOptions(args, stderr)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the benchmark reads CPU times from /proc and runs on Linux only, not on %s", runtime.GOOS)
	}
	opts, err := o.rigOptions()
	if err != nil {
		return err
	}
	r, err := newRig(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	fmt.Fprintf(stderr, "build hopscope of %s\n", o.base)
	if r.programs[hopscopeBase], err = buildRevision(ctx, r.dir, o.base); err == nil {
		err = r.conductCheck(ctx, o, stdout, stderr)
	}
	if ctx.Err() != nil {
		return ctx.Err() // what failed, failed because of it
	}
	return err
}

// buildRevision builds hopscope of a revision of this repository in a worktree
// that is gone when it returns.
func buildRevision(ctx context.Context, dir, revision string) (path string, err error) {
	git := func(args ...string) error { // to its end: what is begun is undone
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := git("rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}"); err != nil {
		return "", fmt.Errorf("-base %q is no commit of this repository: %w", revision, err)
	}
	tree := filepath.Join(dir, "base")
	if err := git("worktree", "add", "--quiet", "--detach", tree, revision); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, git("worktree", "remove", "--force", tree)) }()
	return buildHopscope(ctx, tree, filepath.Join(dir, hopscopeBase))
}

// conductCheck compares the rows and prints them.
func (r *rig) conductCheck(ctx context.Context, o checkOptions, stdout, stderr io.Writer) error {
	if same, err := sameBytes(r.programs["hopscope"], r.programs[hopscopeBase]); err != nil {
		return err
	} else if same {
		fmt.Fprintln(stderr, "note: both build to the same binary, so all that differs below is chance")
	}
	began, err := r.readClock()
	if err != nil {
		return err
	}
	pairs, err := r.compare(ctx, stderr, o.rows, o.rounds)
	if err != nil {
		return err
	}
	ended, err := r.readClock()
	if err != nil {
		return err
	}
	undelivered, err := r.undelivered(pairs)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	if err := writeCheck(stdout, pairs, o.limit); err != nil {
		return err
	}
	others, stolen := began.shares(ended)
	fmt.Fprintf(stdout, "\nMedians of %d rounds; other processes took %.0f %% of the CPU time, the hypervisor %.0f %%.\n", o.rounds, others, stolen)
	for _, d := range undelivered {
		fmt.Fprintf(stdout, "Of %s, %.4f a request arrived of %s, want %g: its figures leave out work.\n", d.Variant, d.PerRequest, d.View, d.Promised)
	}
	return conclude(stdout, pairs, o)
}

func sameBytes(one, other string) (bool, error) {
	a, err := os.ReadFile(one)
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(other)
	return slices.Equal(a, b), err
}

// conclude says what follows from all rows.
func conclude(w io.Writer, pairs []*pair, o checkOptions) error {
	var slower, undecided []string
	for _, p := range pairs {
		switch p.judge(o.limit) {
		case slowerForSure:
			slower = append(slower, p.row.name)
		case notDecided:
			undecided = append(undecided, p.row.name)
		}
	}
	if len(undecided) > 0 {
		fmt.Fprintf(w, "Not decided: %s. Measure longer: -only %[1]s -rounds %d\n", strings.Join(undecided, ","), 3*o.rounds)
	}
	if len(slower) > 0 {
		return fmt.Errorf("%w (%v): %s", errSlower, o.limit, strings.Join(slower, ", "))
	}
	return nil
}

// writeCheck prints a line for each row.
func writeCheck(w io.Writer, pairs []*pair, limit float64) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "ROW\tLOAD\tBASE us/request\tTHIS us/request\tRATIO\t%g %% INTERVAL\t\n", 100*confidence)
	for _, p := range pairs {
		ratio, low, high := p.ratio()
		fmt.Fprintf(table, "%s\t%s\t%.2f\t%.2f\t%.3f\t%.3f to %.3f\t%s\n", p.row.name, p.row.cell,
			median(p.baseMicros), median(p.micros), ratio, low, high, p.judge(limit))
	}
	return table.Flush()
}
