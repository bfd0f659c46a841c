package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIntervalOfRatios(t *testing.T) {
	steady := []float64{0.99, 1.00, 1.01, 1.00, 0.99, 1.01, 1.00, 1.00}
	for _, test := range []struct {
		name      string
		values    []float64
		low, high float64 // that the interval must lie between
	}{
		{"all the same", []float64{1.5, 1.5, 1.5, 1.5, 1.5}, 1.5, 1.5},
		{"close together", steady, 0.99, 1.01},
		{"one far off", append(slices.Clone(steady), 3), 0.99, 1.01},
	} {
		low, high := interval(test.values)
		if low > high || low < test.low || high > test.high {
			t.Errorf("%s: %.3f to %.3f, want within %.3f to %.3f", test.name, low, high, test.low, test.high)
		}
		if again, _ := interval(test.values); again != low {
			t.Errorf("%s: the same values give %v and %v", test.name, low, again)
		}
	}
	wideLow, wideHigh := interval([]float64{0.8, 1.2, 0.9, 1.1, 1.0, 0.85, 1.15})
	narrowLow, narrowHigh := interval(steady)
	if wideHigh-wideLow <= narrowHigh-narrowLow {
		t.Errorf("values far apart give %.3f to %.3f, close ones %.3f to %.3f", wideLow, wideHigh, narrowLow, narrowHigh)
	}
}

func TestJudgePair(t *testing.T) {
	for _, test := range []struct {
		name   string
		micros []float64 // base is 10 in every round
		want   string
	}{
		{"slower by 5 %", []float64{10.5, 10.6, 10.4, 10.5, 10.5, 10.6}, slowerForSure},
		{"slower by 1 %", []float64{10.1, 10.1, 10.0, 10.1, 10.2, 10.1}, withinLimit},
		{"faster", []float64{9.1, 9.2, 9.0, 9.3, 9.1, 9.0}, withinLimit},
		{"too noisy to tell", []float64{9, 12, 10, 11, 9.5, 11.5}, notDecided},
	} {
		p := pair{micros: test.micros, baseMicros: []float64{10, 10, 10, 10, 10, 10}}
		if got := p.judge(1.02); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// A drift that hits both sides of a round alike is not in the ratio.
func TestRatioIsOfTheSameRound(t *testing.T) {
	p := pair{micros: []float64{10, 20, 30, 40, 50}, baseMicros: []float64{10, 20, 30, 40, 50}}
	if ratio, low, high := p.ratio(); ratio != 1 || low != 1 || high != 1 {
		t.Errorf("%v (%v to %v), want 1", ratio, low, high)
	}
}

func TestConclude(t *testing.T) {
	pairs := func(micros ...[]float64) (all []*pair) {
		for i, m := range micros {
			all = append(all, &pair{row: checkRows()[i], micros: m, baseMicros: []float64{10, 10, 10, 10, 10}})
		}
		return all
	}
	slow, good, unclear := []float64{12, 12, 12, 12, 12}, []float64{10, 10, 10, 10, 10}, []float64{8, 9, 10, 11, 12}
	o := checkOptions{limit: 1.02, rounds: 10}
	var out strings.Builder
	if err := conclude(&out, pairs(good, slow), o); !errors.Is(err, errSlower) || !strings.Contains(err.Error(), "http1-10k") {
		t.Errorf("a row is slower: %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("all is decided: %q", &out)
	}
	if err := conclude(&out, pairs(good, unclear), o); err != nil || !strings.Contains(out.String(), "-only http1-10k -rounds 30") {
		t.Errorf("a row is not decided: %v, %q", err, &out)
	}
}

func TestParseCheckOptions(t *testing.T) {
	o, err := parseCheckOptions([]string{"-base", "main", "-only", "grpc, http1"}, io.Discard)
	if err != nil || len(o.rows) != 2 || o.rows[0].name != "http1" || o.limit != 1.02 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "-base is missing"},
		{[]string{"-base", "main", "-rounds", "4"}, "-rounds 4"},
		{[]string{"-base", "main", "-duration", "1500ms"}, "-duration 1.5s"},
		{[]string{"-base", "main", "-limit", "0"}, "-limit 0"},
		{[]string{"-base", "main", "-only", "http3"}, `no row "http3"`},
		{[]string{"-base", "main", "now"}, `unexpected argument "now"`},
	} {
		if _, err := parseCheckOptions(test.args, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want one about %q", test.args, err, test.want)
		}
	}
}

// Every row must be a load that the full benchmark puts on that variant, too.
func TestCheckRowsAreOfTheBenchmark(t *testing.T) {
	opts, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range checkRows() {
		v, ok := opts.variant(row.variant)
		if !ok || v.group != row.cell.Group || !slices.Contains(cellsOf(opts), row.cell) {
			t.Errorf("%s: the benchmark has no %s with %s", row.name, row.variant, row.cell)
		}
	}
}

func TestCompareTheSameBinary(t *testing.T) {
	needPrograms(t, "nginx", "wrk")
	t.Setenv("TMPDIR", t.TempDir())
	o := checkOptions{duration: time.Second, rows: checkRows()[:1]}
	opts, err := o.rigOptions()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	r.programs[hopscopeBase] = r.programs["hopscope"]
	pairs, err := r.compare(t.Context(), io.Discard, o.rows, 2)
	if err != nil {
		t.Error(err)
	} else if p := pairs[0]; len(p.micros) != 2 || slices.Min(p.micros) <= 0 || len(p.baseMicros) != 2 || slices.Min(p.baseMicros) <= 0 {
		t.Errorf("measured %v and %v", p.micros, p.baseMicros)
	} else if missing, err := r.undelivered(pairs); err != nil || len(missing) > 0 {
		t.Errorf("views that did not arrive: %+v, %v", missing, err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	expectCleanedUp(t)
}

// Both groups run at the end, whichever was stopped last.
func TestAlternateLeavesNobodyStopped(t *testing.T) {
	groups := make(chan int, 2)
	var processes []*process
	for _, name := range []string{"one", "other"} {
		p, err := start(name, t.TempDir(), unpinned, []string{"sleep", "1000"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		processes = append(processes, p)
		groups <- p.pid()
	}
	alternate(t.Context(), groups, 3*slice/2)
	for _, p := range processes {
		await(t, p.name+" runs", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
			return err != nil || !strings.Contains(string(stat), ") T ")
		})
	}
}

func TestAlternateEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	alternate(ctx, make(chan int), time.Hour) // neither load has begun
}

func TestBuildRevision(t *testing.T) {
	for _, program := range []string{"git", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	repository := t.TempDir()
	t.Chdir(repository)
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet")
	write("go.mod", "module github.com/hopscope/hopscope\n\ngo 1.26\n")
	write("main.go", "package main\n\nfunc main() { println(\"former\") }\n")
	git("add", ".")
	git("commit", "--quiet", "-m", "former")
	write("main.go", "package main\n\nfunc main() { println(\"present\") }\n")

	path, err := buildRevision(t.Context(), t.TempDir(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != "former\n" {
		t.Errorf("the binary says %q, %v", out, err)
	}
	if _, err := buildRevision(t.Context(), t.TempDir(), "nowhere"); err == nil || !strings.Contains(err.Error(), `-base "nowhere"`) {
		t.Errorf("a revision that does not exist: %v", err)
	}
	write("main.go", "package main\n\nfunc main() { nonsense }\n")
	git("commit", "--quiet", "-a", "-m", "broken")
	if _, err := buildRevision(t.Context(), t.TempDir(), "HEAD"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a revision that does not build: %v", err)
	}
	if trees := git("worktree", "list"); strings.Count(trees, "\n") != 1 {
		t.Errorf("left behind:\n%s", trees)
	}
}
