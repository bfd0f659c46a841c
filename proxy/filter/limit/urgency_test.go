package limit

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/gate"
)

func TestUrgency(t *testing.T) {
	for value, want := range map[string]gate.Urgency{
		"u=0": 0, "u=7": 7, "i, u=1": 1, "u=2, i": 2, "u=2;x=1,i": 2, " u=4 ": 4,
		"5": 5, " 0 ": 0,
		"": 3, "i": 3, "u=8": 3, "u=-1": 3, "u=": 3, "u=10": 3, "9": 3, "12": 3, "high": 3, "1, 2": 3, "u = 1": 3, "xu=1": 3,
	} {
		if got := parseUrgency([]byte(value)); got != want {
			t.Errorf("%q is %d, want %d", value, got, want)
		}
	}
}
