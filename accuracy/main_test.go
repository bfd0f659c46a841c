package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/accuracy/app"
	"github.com/hopscope/hopscope/accuracy/fault"
	"github.com/hopscope/hopscope/accuracy/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) {
	if app.IsChild() {
		if err := app.Main(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// short are the faults of the short form.
var short = []string{
	"refused", "killed", "black_hole", "error_leaf", "error_middle", "reset_before_head", "cut_body", "wrong_protocol",
	"sidecar_killed", "no_route", "open_circuit", "certificate_expired", "retries_recovered",
}

// TestVerdicts is the short form of make accuracy: one small mesh, a few faults, and every
// name, part and kind has to be right.
func TestVerdicts(t *testing.T) {
	program := buildHopscope(t)
	x := &runner{hopscope: program, requests: 3}
	faults, unknown := fault.Named(short)
	if unknown != "" {
		t.Fatalf("no fault %s", unknown)
	}
	const seed = 4
	generate := func() *mesh.Graph {
		return mesh.Generate(source(seed, 0), mesh.Options{Shape: "web", Services: 6, Timeout: 3 * time.Second})
	}
	for _, f := range faults {
		t.Run(f.Name, func(t *testing.T) {
			into := newRow(f)
			err := x.run(t.Context(), f, source(seed, 0), generate, into)
			if errors.Is(err, fault.ErrCannot) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if into.Differ > 0 {
				t.Errorf("%d of %d times the access logs say something else than the hops", into.Differ, into.Requests)
			}
			for _, v := range views {
				if s := into.Scores[v.name]; v.name != "deepest" && s.Whole < s.N {
					t.Errorf("%s: %+v", v.name, *s)
				}
			}
			if t.Failed() {
				var text bytes.Buffer
				printMisses(&text, []*row{into}, true)
				t.Log(text.String())
			}
		})
	}
}

// buildHopscope builds the program of the sidecars.
func buildHopscope(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hopscope")
	build := exec.Command("go", "build", fmt.Sprintf("-race=%t", raced), "-buildvcs=false", "-o", program, "github.com/hopscope/hopscope")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

func TestJudge(t *testing.T) {
	truth := fault.Truth{
		Services: []string{"bank", "payments"}, Parts: []hop.Part{hop.PartApplication}, Kinds: []string{"connect_refused"},
	}
	for _, tt := range []struct {
		name  string
		said  verdict
		truth fault.Truth
		want  score
	}{
		{"all right", verdict{service: "bank", part: hop.PartApplication, kind: "connect_refused"}, truth, score{N: 1, Name: 1, Whole: 1}},
		{"the other right name", verdict{service: "payments", part: hop.PartApplication, kind: "connect_refused"}, truth, score{N: 1, Name: 1, Whole: 1}},
		{"wrong part", verdict{service: "bank", part: hop.PartProxy, kind: "connect_refused"}, truth, score{N: 1, Name: 1}},
		{"wrong kind", verdict{service: "bank", part: hop.PartApplication, kind: "overflow"}, truth, score{N: 1, Name: 1}},
		{"wrong name", verdict{service: "app", part: hop.PartApplication, kind: "connect_refused"}, truth, score{N: 1, Wrong: 1}},
		{"wrong caller", verdict{service: "bank", caller: "web"}, fault.Truth{Services: []string{"bank"}, Callers: []string{"cart"}}, score{N: 1, Name: 1}},
		{"right caller", verdict{service: "bank", caller: "cart"}, fault.Truth{Services: []string{"bank"}, Callers: []string{"cart"}}, score{N: 1, Name: 1, Whole: 1}},
		{"nobody", verdict{}, truth, score{N: 1, None: 1}},
		{"nobody is right", verdict{}, fault.Truth{}, score{N: 1, Name: 1, Whole: 1}},
		{"nobody would be right", verdict{service: "bank"}, fault.Truth{}, score{N: 1, Wrong: 1}},
		{"any part and kind is right", verdict{service: "bank"}, fault.Truth{Services: []string{"bank"}}, score{N: 1, Name: 1, Whole: 1}},
	} {
		if got := judge(tt.said, tt.truth); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-meshes 0", "at least 1"},
		{"-smallest 9 -largest 3", "from 2 to 40"},
		{"-largest 41", "from 2 to 40"},
		{"-fault refused,bored", `no fault "bored"`},
	} {
		var out bytes.Buffer
		err := run(context.Background(), strings.Fields(tt.args), &out, &out)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.args, err, tt.want)
		}
	}
}

// TestReport checks that a wrong name is an error only if nothing of the mesh was missing.
func TestReport(t *testing.T) {
	r := newRow(&fault.Fault{Name: "refused"})
	r.Scores["header"].add(score{N: 2, Wrong: 2})
	var out bytes.Buffer
	if err := report(options{}, []*row{r}, &out); err == nil || !strings.Contains(err.Error(), "2 wrong names") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.String(), "refused") {
		t.Errorf("no row of refused:\n%s", out.String())
	}
	r.Missing = "a sidecar"
	if err := report(options{json: true}, []*row{r}, &out); err != nil {
		t.Errorf("with a sidecar missing: %v", err)
	}
	r.Missing = ""
	r.Scores["header"], r.Differ = &score{}, 3
	if err := report(options{}, []*row{r}, &out); err == nil || !strings.Contains(err.Error(), "3 times the access logs say something else") {
		t.Errorf("other logs: error %v", err)
	}
	r.Differ = 0
	r.Scores["deepest"].add(score{N: 2, Wrong: 2})
	if err := report(options{}, []*row{r}, &out); err != nil {
		t.Errorf("the simple rule counts: %v", err)
	}
}
