package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds -bodies: nginx takes the answer from one configuration parameter of
// at most 4 KiB (see bodyText).
const maxBody = 16 << 20

// minDuration is the shortest load whose user and system time the kernel's ticks of 10 ms
// measure to about one per cent.
const minDuration = time.Second

// options is the command line, checked.
type options struct {
	rounds      int
	duration    time.Duration // of each measured load
	warmup      time.Duration // of the load before it, not measured
	connections []int
	bodies      []int // bytes
	variants    []variant
	hopscope    string // path of the binary; empty: build it
	out         string // folder
	targets     bool
	strict      bool
	idle        int    // connections; 0: not measured
	endpoints   int    // whose memory is measured; 0: not measured
	changes     int    // of each kind in Consul; 0: not measured
	consul      string // path of the binary; empty: look for it
}

// parseOptions reads the command line. It prints usage to w and returns
// flag.ErrHelp when help was asked for.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	var connections, bodies, only string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main prints errors
	fs.IntVar(&o.rounds, "rounds", 5, "rounds over all variants; 0 makes only the measurements without: idle connections, memory of endpoints, changes in Consul")
	fs.DurationVar(&o.duration, "duration", 3*time.Second, "length of each measured load")
	fs.DurationVar(&o.warmup, "warmup", time.Second, "length of the load before each measured one")
	fs.StringVar(&connections, "connections", "32,256", "keep-alive connections, one load for each; TLS has the first, HTTP/2 16 of 10 streams")
	fs.StringVar(&bodies, "bodies", "98,10240", "answer sizes in bytes, one load for each; TLS and HTTP/2 have the first")
	fs.StringVar(&only, "only", "", "groups or variants to run, comma separated (default all: groups "+strings.Join(groupNames(), ",")+", variants "+strings.Join(variantNames(), ",")+")")
	fs.StringVar(&o.hopscope, "hopscope", "", "hopscope binary to measure (default: build it from this module)")
	fs.StringVar(&o.out, "out", "bench/results", "folder for results.json and results.md")
	fs.BoolVar(&o.targets, "targets", false, "print the targets beside what was measured")
	fs.BoolVar(&o.strict, "strict", false, "exit 1 when a target is missed or a view was not delivered (implies -targets)")
	fs.IntVar(&o.idle, "idle", 10000, "idle keep-alive connections to measure hopscope-full's memory with; 0 skips it")
	fs.IntVar(&o.endpoints, "endpoints", 10000, "endpoints to measure "+hopscopeOne+"'s memory with; 0 skips it")
	fs.IntVar(&o.changes, "changes", 20, "instances to register with Consul and to deregister, if "+hopscopeOne+" is measured; 0 skips it")
	fs.StringVar(&o.consul, "consul", "", "Consul binary (default: the one in PATH; without one that measurement is skipped)")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(w, "go run ./bench measures hopscope beside HAProxy and nginx; bench/README.md tells more.")
			fs.SetOutput(w)
			fs.PrintDefaults()
		}
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q: every setting is a flag, see -help", fs.Arg(0))
	}
	o.targets = o.targets || o.strict

	var errs []error
	var err error
	if o.connections, err = parseSizes("-connections", connections, 1, 2000); err != nil {
		errs = append(errs, err)
	}
	if o.bodies, err = parseSizes("-bodies", bodies, 1, maxBody); err != nil {
		errs = append(errs, err)
	}
	if o.variants, err = selectVariants(only); err != nil {
		errs = append(errs, err)
	}
	if o.rounds < 0 {
		errs = append(errs, fmt.Errorf("-rounds %d: must be 0 or more", o.rounds))
	}
	if o.duration < minDuration {
		errs = append(errs, fmt.Errorf("-duration %v: must be at least %v, the system counts user and system time in ticks of 10 ms", o.duration, minDuration))
	}
	if o.duration%time.Second != 0 || o.warmup%time.Second != 0 {
		errs = append(errs, fmt.Errorf("-duration %v, -warmup %v: wrk takes whole seconds", o.duration, o.warmup))
	}
	if o.warmup < 0 {
		errs = append(errs, fmt.Errorf("-warmup %v: must be 0 or more", o.warmup))
	}
	if o.idle < 0 {
		errs = append(errs, fmt.Errorf("-idle %d: must be 0 or more", o.idle))
	}
	if o.endpoints != 0 && (o.endpoints < 2 || o.endpoints > maxEndpoints) {
		errs = append(errs, fmt.Errorf("-endpoints %d: must be 0, or from 2 to %d", o.endpoints, maxEndpoints))
	}
	if o.changes < 0 {
		errs = append(errs, fmt.Errorf("-changes %d: must be 0 or more", o.changes))
	}
	return o, errors.Join(errs...)
}

// answers are the sizes that the backend answers with.
func (o options) answers() []int {
	sizes := slices.Clone(o.bodies)
	for _, g := range o.chosen() {
		sizes = append(sizes, g.answers(o)...)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// variant returns the variant of a name, if it is among the chosen.
func (o options) variant(name string) (variant, bool) {
	i := slices.IndexFunc(o.variants, func(v variant) bool { return v.name == name })
	if i < 0 {
		return variant{}, false
	}
	return o.variants[i], true
}

// Each of the measurements without rounds goes with a variant: they are made when it is
// among the chosen.

func (o options) measuresIdle() bool      { return o.idle > 0 && o.has(hopscopeFull) }
func (o options) measuresMemory() bool    { return o.endpoints > 0 && o.has(hopscopeOne) }
func (o options) measuresDiscovery() bool { return o.changes > 0 && o.has(hopscopeOne) }

func (o options) has(name string) bool {
	_, ok := o.variant(name)
	return ok
}

// parseSizes reads a list such as "32,256" of distinct numbers in [low, high].
func parseSizes(name, list string, low, high int) ([]int, error) {
	var sizes []int
	for _, word := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < low || n > high {
			return nil, fmt.Errorf("%s %q: %q is not a number from %d to %d", name, list, word, low, high)
		}
		if slices.Contains(sizes, n) {
			return nil, fmt.Errorf("%s %q: %d is there twice", name, list, n)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// selectVariants returns the variants that the list names, by themselves or by their
// group, in table order; an empty list means all.
func selectVariants(list string) ([]variant, error) {
	all := variants()
	if list == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(variantNames(), name) && !slices.Contains(groupNames(), name) {
			return nil, fmt.Errorf("-only: no group or variant %q; there are the groups %s, and the variants %s",
				name, strings.Join(groupNames(), ", "), strings.Join(variantNames(), ", "))
		}
		wanted[name] = true
	}
	return slices.DeleteFunc(all, func(v variant) bool { return !wanted[v.name] && !wanted[v.group] }), nil
}
