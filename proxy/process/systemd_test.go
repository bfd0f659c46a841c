package process

import (
	"testing"
	"time"
)

func TestSupervisor(t *testing.T) {
	const pid = 17
	for _, tt := range []struct {
		name        string
		environment map[string]string
		want        systemd
	}{
		{"none", nil, systemd{}},
		{"a path", map[string]string{"NOTIFY_SOCKET": "/run/notify"}, systemd{socket: "/run/notify"}},
		{"a name", map[string]string{"NOTIFY_SOCKET": "@notify"}, systemd{socket: "@notify"}},
		{"of a virtual machine", map[string]string{"NOTIFY_SOCKET": "vsock:2:1234"}, systemd{}},
		{"a watchdog", map[string]string{"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000"}, systemd{"@n", 15 * time.Second}},
		{"for this process", map[string]string{"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "2", "WATCHDOG_PID": "17"}, systemd{"@n", time.Microsecond}},
		{"for another", map[string]string{"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "2", "WATCHDOG_PID": "18"}, systemd{socket: "@n"}},
		{"no number", map[string]string{"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "soon"}, systemd{socket: "@n"}},
		{"never", map[string]string{"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "0"}, systemd{socket: "@n"}},
	} {
		if got := supervisor(func(name string) string { return tt.environment[name] }, pid); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	// Nobody listens: nothing happens.
	systemd{socket: "/nonexistent/notify"}.ready(serving)
	systemd{}.reloading()
}
