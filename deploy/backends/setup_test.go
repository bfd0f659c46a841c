package backends

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestPathOfAnUnknownPart(t *testing.T) {
	_, err := Path("abacus")
	if err == nil {
		t.Fatal("Path knows a part that there is not")
	}
	for _, want := range []string{"abacus", "jaeger", "haproxy"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestPathOutsideTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	if path, err := Path("haproxy"); err == nil {
		t.Errorf("Path = %q with no repository around", path)
	}
}

func TestUnavailable(t *testing.T) {
	for _, tt := range []struct {
		required bool
		want     string
	}{
		{required: false, want: "skip: skipped: no such luck"},
		{required: true, want: "fatal: HOPSCOPE_REQUIRE_BACKENDS=1, but no such luck"},
	} {
		verdict := &verdict{TB: t}
		unavailable(verdict, tt.required, errors.New("no such luck"))
		if len(verdict.said) == 0 || verdict.said[0] != tt.want {
			t.Errorf("required %v: %q, want %q first", tt.required, verdict.said, tt.want)
		}
	}
}

// verdict notes what would end a test.
type verdict struct {
	testing.TB
	said []string
}

func (v *verdict) Helper() {}

func (v *verdict) Fatalf(format string, args ...any) {
	v.said = append(v.said, "fatal: "+fmt.Sprintf(format, args...))
}

func (v *verdict) Skipf(format string, args ...any) {
	v.said = append(v.said, "skip: "+fmt.Sprintf(format, args...))
}
