package overload

import (
	"math"
	"runtime/debug"
	"testing"
)

// TestMemoryIsWhatGOMEMLIMITSays if that is less than cgroup and machine allow.
func TestMemoryIsWhatGOMEMLIMITSays(t *testing.T) {
	const limit = 32 << 20
	t.Setenv("GOMEMLIMIT", "32MiB") // Go reads it at the start only
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	if bytes, from := Memory(); bytes != limit || from != "GOMEMLIMIT" {
		t.Errorf("%d by %s, want %d by GOMEMLIMIT", bytes, from, limit)
	}
	t.Setenv("GOMEMLIMIT", "off")
	debug.SetMemoryLimit(math.MaxInt64)
	if bytes, from := Memory(); bytes == math.MaxInt64 || from == "GOMEMLIMIT" {
		t.Errorf("without a limit: %d by %s", bytes, from)
	}
}
