package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// given returns what Flags.Given is for these flags.
func given(flags ...string) func(string) bool {
	return func(flag string) bool { return slices.Contains(flags, flag) }
}

// TestQuickstart makes a configuration of flags alone. In all their combinations,
// package cmd/clitest has them.
func TestQuickstart(t *testing.T) {
	f := &Flags{
		Quickstart: Quickstart{Listen: "127.0.0.1:8080", To: []string{"h2c://127.0.0.1:1", " h2c://127.0.0.1:2"}, Egress: "127.0.0.1:8081"},
		Service:    "web", Sample: 0.5, AccessLog: "ignored: not given",
		Given: given("service", "sample", "listen", "to", "egress"),
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	s := f.Source()
	defer s.Close()
	cfg, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Watch != nil {
		t.Error("flags can change")
	}
	c := cfg.Clusters["web"]
	if diff := cmp.Diff([]string{"127.0.0.1:1", "127.0.0.1:2"}, c.Endpoints); diff != "" || c.Protocol != "http2" {
		t.Errorf("protocol %s, endpoints (-want +got):\n%s", c.Protocol, diff)
	}
	if cfg.Service != "web" || cfg.Telemetry.Traces.Sample != 0.5 || cfg.Telemetry.AccessLog.Path != "stdout" {
		t.Errorf("service %s, sample %v, access log %s", cfg.Service, cfg.Telemetry.Traces.Sample, cfg.Telemetry.AccessLog.Path)
	}
	if len(cfg.Listeners) != 2 || cfg.Listeners[0].Address != f.Listen || cfg.Listeners[1].Address != f.Egress || cfg.Listeners[1].ForwardProxy == nil {
		t.Errorf("listeners: %+v", cfg.Listeners)
	}
}

// TestFlagsStayOverTheFile reads a file twice, and again as it is broken.
func TestFlagsStayOverTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hopscope.yaml")
	write := func(service string) {
		t.Helper()
		text := "service: " + service + "\nlog: {level: warn}\nlisteners: [{name: egress, address: 127.0.0.1:0, forward_proxy: {}}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("web")
	f := &Flags{Location: path, LogLevel: "debug", Sample: 1, Given: given("config", "log-level")}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	s := f.Source()
	defer s.Close()
	for _, service := range []string{"web", "shop"} {
		write(service)
		cfg, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Service != service || cfg.Log.Level != "debug" {
			t.Errorf("service %s, log level %s; want %s and debug", cfg.Service, cfg.Log.Level, service)
		}
	}
	write("[")
	if cfg, err := s.Read(t.Context()); cfg != nil || err == nil || !strings.HasPrefix(err.Error(), path+":1:") {
		t.Errorf("of a broken file: %v, %v", cfg, err)
	}
}

// TestMistakesNameFlags where a flag made them, and the file's keys otherwise.
func TestMistakesNameFlags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hopscope.yaml")
	if err := os.WriteFile(path, []byte("listeners: [{name: egress, address: 127.0.0.1:7, forward_proxy: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		flags Flags
		want  string
	}{
		{"a quickstart", Flags{Quickstart: Quickstart{Listen: "x", To: []string{"127.0.0.1:1"}}, Given: given("listen", "to")}, "--listen: "},
		{"several", Flags{Quickstart: Quickstart{Listen: "x", To: []string{"y"}}, Given: given("listen", "to")}, "these flags can't be used:\n  --listen: "},
		{"over a file", Flags{Location: path, Sample: 2, Given: given("sample")}, "--sample: "},
		{"against the file", Flags{Location: path, Admin: "127.0.0.1:7", Given: given("admin")}, "listeners[0].address: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.flags.Source()
			defer s.Close()
			cfg, err := s.Read(t.Context())
			if cfg != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
