package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// Flags is a configuration as the command line gives it: from flags alone, or a file's
// with some settings changed. Its errors name flags, since that is what the user wrote.
type Flags struct {
	// Location is what -c names: a file, or a key in Consul. If it is empty, the listeners
	// and clusters are those of Quickstart.
	Location string
	Quickstart

	// These change a setting of the file, each if its flag is given.
	Service, Admin, Consul string
	AdminToken             string // the file of admin.token_file
	AdminControlToken      string
	AdminInsecure          bool
	OTLP, Zipkin           string
	Sample                 float64
	AccessLog, LogLevel    string

	// Environment is what counts where neither the file nor a flag says anything; nil is
	// nothing.
	Environment *config.Environment

	// Given reports whether the command line has a flag, by its name without dashes.
	Given func(flag string) bool
}

// setting is a flag that changes one key of the configuration.
type setting struct {
	flag, key string
	set       func(*config.Config)
}

func (f *Flags) settings() []setting {
	return []setting{
		{"service", "service", func(c *config.Config) { c.Service = f.Service }},
		{"admin", "admin.address", func(c *config.Config) { c.Admin.Address = f.Admin }},
		{"admin-token-file", "admin.token_file", func(c *config.Config) { c.Admin.TokenFile = f.AdminToken }},
		{"admin-control-token-file", "admin.control_token_file", func(c *config.Config) { c.Admin.ControlTokenFile = f.AdminControlToken }},
		{"admin-insecure", "admin.insecure", func(c *config.Config) { c.Admin.Insecure = f.AdminInsecure }},
		{"consul", "consul.address", func(c *config.Config) { c.Consul.Address = f.Consul }},
		{"otlp", "telemetry.traces.otlp.endpoint", func(c *config.Config) { c.Telemetry.Traces.OTLP = f.Environment.NewOTLP(f.OTLP) }},
		{"zipkin", "telemetry.traces.zipkin.url", func(c *config.Config) { c.Telemetry.Traces.Zipkin = config.NewZipkin(f.Zipkin) }},
		{"sample", "telemetry.traces.sample", func(c *config.Config) { c.Telemetry.Traces.Sample = f.Sample }},
		{"access-log", "telemetry.access_log.path", func(c *config.Config) { c.Telemetry.AccessLog.Path = f.AccessLog }},
		{"log-level", "log.level", func(c *config.Config) { c.Log.Level = f.LogLevel }},
	}
}

// Check returns an error if the flags given don't go together.
func (f *Flags) Check() error {
	if f.Location == "" {
		return f.checkQuickstart()
	}
	for _, flag := range quickstartFlags {
		if f.Given(flag) {
			return fmt.Errorf("--%s doesn't go with -c: listeners and clusters are in the file", flag)
		}
	}
	return nil
}

// Source returns the configuration that the flags stand for. Where there is a file, it
// changes as the file does, and the flags stay over it.
func (f *Flags) Source() Source {
	s := Source{Read: func(context.Context) (*config.Config, error) { return f.Quickstart.config(f.Service, f.Environment) }}
	if f.Location != "" {
		s = At(f.Location, f.Environment)
	}
	read := s.Read
	s.Read = func(ctx context.Context) (*config.Config, error) {
		cfg, err := read(ctx)
		if err != nil {
			return nil, err
		}
		if err := f.apply(cfg); err != nil {
			return nil, err
		}
		return cfg, nil
	}
	return s
}

// apply changes the settings whose flags are given, and validates the result.
func (f *Flags) apply(cfg *config.Config) error {
	flags := map[string]string{} // by the key that they set
	for _, s := range f.settings() {
		given := f.Given(s.flag)
		if given {
			s.set(cfg)
		}
		if given || f.Location == "" {
			flags[s.key] = "--" + s.flag
		}
	}
	if f.Location != "" {
		return byFlags(cfg.Validate(), flags)
	}
	if f.Given("zipkin") && !f.Given("otlp") {
		cfg.Telemetry.Traces.OTLP = nil // which only the environment can have set
	}
	quickstartKeys(cfg, flags)
	if err := cfg.Validate(); err != nil {
		return byFlags(err, flags)
	}
	return byFlags(cfg.CheckFiles(), flags) // a file's own were checked as it was read
}

// byFlags names mistakes by the flags that made them, rather than by their keys: who
// uses flags has no file to look into.
func byFlags(err error, flags map[string]string) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return err
	}
	var lines []string
	for _, m := range mistakes {
		flag := flags[m.Path]
		if strings.HasPrefix(m.Path, "clusters") { // only flags can have made it: a file is valid
			if flag = clusterFlag(m.Path); flag == "" {
				continue // the cluster has the service's name, which has the same mistake
			}
		}
		m.Path = cmp.Or(flag, m.Path)
		for key, flag := range flags {
			// The other of two equal addresses, or what would let the admin API have this one.
			if strings.HasSuffix(key, ".address") || strings.HasPrefix(key, "admin.") {
				m.Message = strings.ReplaceAll(m.Message, key, flag)
			}
		}
		lines = append(lines, m.Error())
	}
	if len(lines) == 1 {
		return errors.New(lines[0])
	}
	return errors.New("these flags can't be used:\n  " + strings.Join(lines, "\n  "))
}
