package handover

import "testing"

// TestActivatedForNobody reads what is not for this process, or makes no sense. The tests of
// the command line pass real sockets.
func TestActivatedForNobody(t *testing.T) {
	for _, tt := range []struct {
		pid, count string
		fails      bool
	}{
		{"", "", false},
		{"18", "1", false},
		{"17", "0", false},
		{"17", "", true},
		{"17", "-1", true},
		{"17", "many", true},
		{"17", "1000000", true},
	} {
		all, err := Activated(func(name string) string {
			return map[string]string{"LISTEN_PID": tt.pid, "LISTEN_FDS": tt.count}[name]
		}, 17)
		if len(all) != 0 || (err != nil) != tt.fails {
			t.Errorf("LISTEN_PID=%s LISTEN_FDS=%s: %d sockets, %v", tt.pid, tt.count, len(all), err)
		}
	}
}
