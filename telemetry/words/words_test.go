package words

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestEveryFlagIsExplained(t *testing.T) {
	for _, f := range hop.All() {
		e := Flag(f | hop.ProxyPanic)
		if e.Word != f.Code() || e.Meaning != f.Hint() {
			t.Errorf("%s: %+v", f, e)
		}
		check(t, e)
	}
	if len(flags) != len(hop.All()) {
		t.Errorf("%d flags are explained, and there are %d", len(flags), len(hop.All()))
	}
	if e := Flag(0); e.Word != "" || e.Meaning != "" || e.Causes != nil {
		t.Errorf("no flag: %+v", e)
	}
}

// TestErrorTypes: RFC 9209 defines 32 in sections 2.3.1 to 2.3.32.
func TestErrorTypes(t *testing.T) {
	if len(ErrorTypes()) != 32 {
		t.Errorf("%d error types, and the RFC has 32", len(ErrorTypes()))
	}
	seen := map[string]bool{}
	for _, e := range append(ErrorTypes(), Terms()...) {
		check(t, e)
		if seen[e.Word] {
			t.Errorf("%s is there twice", e.Word)
		}
		seen[e.Word] = true
	}
	if e, ok := ErrorType("connection_refused"); !ok || e.Word != "connection_refused" {
		t.Errorf("connection_refused: %+v, %t", e, ok)
	}
	if e, ok := ErrorType("nonsense"); ok {
		t.Errorf("nonsense: %+v", e)
	}
}

func check(t *testing.T, e Entry) {
	t.Helper()
	if e.Word == "" || e.Meaning == "" || len(e.Causes) == 0 || len(e.Next) == 0 {
		t.Errorf("%s is not explained: %+v", e.Word, e)
	}
	for _, s := range append(e.Causes, e.Next...) {
		if !strings.HasSuffix(s, ".") {
			t.Errorf("%s: %q is no sentence", e.Word, s)
		}
	}
}

func TestKinds(t *testing.T) {
	if got := Kind("connect_refused"); got != "the endpoint refused the connection" {
		t.Errorf("connect_refused: %q", got)
	}
	if got := Kind("nonsense"); got != "" {
		t.Errorf("nonsense: %q", got)
	}
	all := Kinds()
	if len(all) != len(kinds) || !slices.IsSorted(all) || !slices.Contains(all, "connect_refused") {
		t.Errorf("kinds: %q", all)
	}
}

func TestPlain(t *testing.T) {
	for s, want := range map[string]string{
		"":                                      "",
		"`a` and `b`.":                          "a and b.",
		"`a_total`; [x.md](x.md#y) and [z](z).": "a_total; x.md and z.",
		"listeners[].routes":                    "listeners[].routes",
		"`listeners[].a` ([x](y":                "listeners[].a ([x](y",
	} {
		if got := Plain(s); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}

// TestEveryEventIsExplained reads the kinds of events where they are defined.
func TestEveryEventIsExplained(t *testing.T) {
	source, err := os.ReadFile("../events/events.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`(?m)^\t\w+ +Kind += "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) != len(Events()) {
		t.Errorf("%d kinds of events, and %d are explained", len(kinds), len(Events()))
	}
	for i, e := range Events() {
		check(t, e)
		if i < len(kinds) && e.Word != kinds[i][1] {
			t.Errorf("%s comes where %s should", e.Word, kinds[i][1])
		}
	}
}
