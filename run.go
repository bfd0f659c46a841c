package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// runFlags are the flags of run.
type runFlags struct {
	file, listen, egress, service string
	to                            []string
	admin, otlp, zipkin           string
	sample                        float64
	accessLog, logLevel           string
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the proxy, from flags or from a file",
		Long: `Run starts the proxy: in front of one service from flags alone, or from a file.

The first signal (SIGTERM or SIGINT) drains: nothing new is accepted, what is in
flight ends. A second one ends at once. SIGUSR1 reopens the access log.`,
		Example: `  # in front of what listens on port 3000
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web

  # with two instances, and traces to Jaeger or any OpenTelemetry collector
  hopscope run --listen :8080 --to 127.0.0.1:3000,127.0.0.1:3001 --service web --otlp 127.0.0.1:4317

  # and what the service calls: start it with HTTP_PROXY=http://127.0.0.1:8081
  hopscope run --listen :8080 --to 127.0.0.1:3000 --service web --egress 127.0.0.1:8081

  # from a file, with one setting of its own
  hopscope run -c hopscope.yaml --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.config(c)
			if err != nil {
				return err
			}
			return run(c.Context(), cfg)
		},
	}
	p := c.Flags()
	p.StringVarP(&f.file, "config", "c", "", "configuration file (see docs/config.md)")
	p.StringVar(&f.listen, "listen", "", "address to take requests on, host:port")
	p.StringSliceVar(&f.to, "to", nil, "address of the service, host:port; several, separated by commas, take turns")
	p.StringVar(&f.service, "service", "", "name of the service, as every view shows it (default \"hopscope\")")
	p.StringVar(&f.egress, "egress", "", "address of a forward proxy for what the service calls, host:port")
	p.StringVar(&f.admin, "admin", "", "address of the admin API, or \"off\" (default 127.0.0.1:9901)")
	p.StringVar(&f.otlp, "otlp", "", "OpenTelemetry collector to send spans to by OTLP gRPC, host:port")
	p.StringVar(&f.zipkin, "zipkin", "", "Zipkin collector to send spans to, such as http://127.0.0.1:9411/api/v2/spans")
	p.Float64Var(&f.sample, "sample", 1, "share of traces to export where this proxy is the first to see them, 0 to 1; failed and slow hops always are")
	p.StringVar(&f.accessLog, "access-log", "stdout", "access log: stdout, stderr, off, or a file")
	p.StringVar(&f.logLevel, "log-level", "info", "least level of the proxy's own log: debug, info, warn, error")
	return c
}

// config makes the configuration of the file or of the flags, and puts the
// flags that were given over it.
func (f *runFlags) config(c *cobra.Command) (*config.Config, error) {
	cfg, err := f.base()
	if err != nil {
		return nil, err
	}
	given := c.Flags().Changed
	if given("service") {
		cfg.Service = f.service
	}
	if given("admin") {
		cfg.Admin.Address = f.admin
	}
	if given("otlp") {
		cfg.Telemetry.Traces.OTLP = config.NewOTLP(f.otlp)
	}
	if given("zipkin") {
		cfg.Telemetry.Traces.Zipkin = config.NewZipkin(f.zipkin)
	}
	if given("sample") {
		cfg.Telemetry.Traces.Sample = f.sample
	}
	if given("access-log") {
		cfg.Telemetry.AccessLog.Path = f.accessLog
	}
	if given("log-level") {
		cfg.Log.Level = f.logLevel
	}
	return cfg, cfg.Validate()
}

func (f *runFlags) base() (*config.Config, error) {
	if f.file != "" {
		if f.listen != "" || len(f.to) > 0 || f.egress != "" {
			return nil, errors.New("--listen, --to and --egress don't go with -c: listeners and clusters are in the file")
		}
		return config.Load(f.file)
	}
	if (f.listen == "") != (len(f.to) == 0) || f.listen == "" && f.egress == "" {
		return nil, errors.New("nothing to run: give --listen ADDR and --to ADDR, such as\n  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web\nor a file with -c; hopscope run --help has more")
	}
	cfg := config.New()
	if f.listen != "" {
		name := f.service
		if name == "" {
			name = cfg.Service
		}
		for i, to := range f.to {
			f.to[i] = strings.TrimSuffix(strings.TrimPrefix(to, "http://"), "/")
		}
		l := config.NewListener("ingress", f.listen)
		l.Routes = []config.Route{config.NewRoute(name)}
		cfg.Listeners = append(cfg.Listeners, l)
		cfg.Clusters = map[string]config.Cluster{name: config.NewCluster(f.to...)}
	}
	if f.egress != "" {
		l := config.NewListener("egress", f.egress)
		l.Direction, l.ForwardProxy = "outbound", config.NewForwardProxy()
		cfg.Listeners = append(cfg.Listeners, l)
	}
	return cfg, nil
}

// run runs a proxy until a signal ends it.
func run(ctx context.Context, cfg *config.Config) error {
	level := new(slog.LevelVar)
	level.UnmarshalText([]byte(cfg.Log.Level))
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	memlimit.Set()

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	defer signal.Stop(signals)

	p, err := snapshot.Start(cfg, snapshot.Options{Log: log, Level: level, Version: version})
	if err != nil {
		return err
	}
	announce(log, cfg, p)
	for {
		select {
		case <-p.DrainRequested():
			return drain(ctx, cfg, p, log, signals, "POST /drain")
		case s := <-signals:
			if s != syscall.SIGUSR1 {
				return drain(ctx, cfg, p, log, signals, s.String())
			}
			if err := p.ReopenLog(); err != nil {
				log.Error("the access log could not be reopened; the old file stays in use", "error", err)
			} else {
				log.Info("access log reopened")
			}
		}
	}
}

// announce says where everything is.
func announce(log *slog.Logger, cfg *config.Config, p *snapshot.Proxy) {
	for _, l := range cfg.Listeners {
		log.Info("listening", "listener", l.Name, "address", p.Addr(l.Name), "direction", l.Direction, "service", cfg.Service)
	}
	if a := p.AdminAddr(); a.IsValid() {
		log.Info("admin API", "url", fmt.Sprintf("http://%s/", a))
	}
}

// drain ends the proxy: when what is in flight has ended, when the time for
// that is up, or at a second signal.
func drain(ctx context.Context, cfg *config.Config, p *snapshot.Proxy, log *slog.Logger, signals <-chan os.Signal, why string) error {
	log.Info("draining", "because", why, "timeout", cfg.Drain.Timeout)
	ctx, cancel := context.WithTimeout(ctx, cfg.Drain.Timeout)
	defer cancel()
	go func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGUSR1 {
					log.Info("ending at once", "because", s.String())
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	err := p.Close(ctx)
	log.Info("ended")
	return err
}
