package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/fault"
	"github.com/hopscope/hopscope/accuracy/mesh"
)

func main() {
	if app.IsChild() {
		if err := app.Main(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	hopscope, consul  string
	seed              uint64
	meshes, requests  int
	smallest, largest int
	faults            string
	json, traces      bool
	timeout           time.Duration
}

func parse(args []string, complaints io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("accuracy", flag.ContinueOnError)
	fs.SetOutput(complaints)
	fs.StringVar(&o.hopscope, "hopscope", "bin/hopscope", "the `program` of the sidecars")
	fs.StringVar(&o.consul, "consul", "", "the `program` of Consul; without one its faults are left out")
	fs.Uint64Var(&o.seed, "seed", 1, "the `number` that the meshes are made from")
	fs.IntVar(&o.meshes, "meshes", 4, "how many meshes each fault is injected into")
	fs.IntVar(&o.requests, "requests", 20, "how many requests each mesh gets with each fault")
	fs.IntVar(&o.smallest, "smallest", 3, "the least `number` of services of a mesh")
	fs.IntVar(&o.largest, "largest", 40, "the largest `number` of services of a mesh, 40 at most")
	fs.StringVar(&o.faults, "fault", "", "the `names` of the faults, with commas; all without one")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.BoolVar(&o.traces, "traces", false, "print the trace of an example for each kind of verdict that is not right")
	fs.DurationVar(&o.timeout, "timeout", 2*time.Second, "the `time` limit of every route")
	if err = fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.meshes < 1 || o.requests < 1:
		return o, errors.New("-meshes and -requests are at least 1")
	case o.smallest < 2 || o.largest < o.smallest || o.largest > 40:
		return o, errors.New("-smallest and -largest are from 2 to 40, the smaller first")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args, log)
	if err != nil {
		return err
	}
	var names []string
	if o.faults != "" {
		names = strings.Split(o.faults, ",")
	}
	faults, unknown := fault.Named(names)
	if unknown != "" {
		return fmt.Errorf("there is no fault %q", unknown)
	}
	x := &runner{hopscope: o.hopscope, consul: o.consul, requests: o.requests}
	var rows []*row
	var errs []error
	for _, f := range faults {
		into := newRow(f)
		for i := range o.meshes {
			err := x.run(ctx, f, source(o.seed, i), func() *mesh.Graph { return o.graph(i) }, into)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && !errors.Is(err, errNoPlace) && !errors.Is(err, fault.ErrCannot) {
				errs = append(errs, fmt.Errorf("%s in mesh %d: %w", f.Name, i, err))
			}
		}
		fmt.Fprintf(log, "%s: %d meshes, %d of %d requests failed\n", f.Name, into.Meshes, into.Failed, into.Requests)
		rows = append(rows, into)
	}
	return errors.Join(append(errs, report(o, rows, out))...)
}

// source is the random source of the i-th mesh.
func source(seed uint64, i int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(i))) }

// graph makes the i-th graph. The sizes go from the smallest to the largest, the shapes
// take turns, and every second one speaks gRPC, too.
func (o options) graph(i int) *mesh.Graph {
	r := source(o.seed, i)
	return mesh.Generate(r, mesh.Options{
		Shape:    mesh.Shapes[i%len(mesh.Shapes)],
		Services: o.smallest + (o.largest-o.smallest)*i/max(o.meshes-1, 1),
		GRPC:     i%2 == 1, Reactions: i > 0, Timeout: o.timeout,
	})
}

// report prints the rows. It is an error if a name is wrong although nothing of the mesh
// was missing, or if access logs say something else than the hops.
func report(o options, rows []*row, out io.Writer) error {
	if o.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(rows); err != nil {
			return err
		}
	} else {
		printTable(out, rows)
		fmt.Fprintln(out)
		printMisses(out, rows, o.traces)
	}
	wrong, differ := 0, 0
	for _, r := range rows {
		if r.Missing == "" {
			wrong += r.wrong()
			differ += r.Differ
		}
	}
	var errs []error
	if wrong > 0 {
		errs = append(errs, fmt.Errorf("%d wrong names", wrong))
	}
	if differ > 0 {
		errs = append(errs, fmt.Errorf("%d times the access logs say something else than the hops", differ))
	}
	return errors.Join(errs...)
}
