package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// lastMoment is how long what was recorded may take to show in the views after
// a second signal, and the last lines of the log to be written.
const lastMoment = time.Second

// limitHeap is how the proxy limits Go's heap, nil where the user has done so.
func limitHeap() func(bytes int64) {
	if overload.HeapLimited() {
		return nil
	}
	return func(bytes int64) { debug.SetMemoryLimit(bytes) }
}

// runFlags are the flags of run.
type runFlags struct {
	file, service       string
	admin, otlp, zipkin string
	sample              float64
	accessLog, logLevel string
	upgrade             bool

	// What stands for a file's listeners and clusters: see front.go.
	listen, egress  string
	consul          string
	tlsCert, tlsKey string
	to              []string
	toCA            string
	toInsecure      bool
}

func newRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the proxy, from flags or from a file",
		Long: `Run starts the proxy: in front of one service from flags alone, or from a file.

The first signal (SIGTERM or SIGINT) drains: nothing new is accepted, what is in
flight ends. A second one ends at once. SIGUSR1 reopens the access log.

A file is read again when it changes, on SIGHUP and on a POST to the admin API's
/reload. Connections and requests go on; a file with mistakes is not taken, and
the log says why.

With --upgrade it takes the listening sockets over from the process that runs: no
connection is refused or reset. That process goes on until this one serves, then
it lets its clients go and ends. It is found by the user and the admin address, or
by the key upgrade_socket.`,
		Example: `  # in front of what listens on port 3000
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web

  # with two instances, and traces to Jaeger or any OpenTelemetry collector
  hopscope run --listen :8080 --to 127.0.0.1:3000,127.0.0.1:3001 --service web --otlp 127.0.0.1:4317

  # and what the service calls: start it with HTTP_PROXY=http://127.0.0.1:8081
  hopscope run --listen :8080 --to 127.0.0.1:3000 --service web --egress 127.0.0.1:8081

  # over TLS on both sides, in HTTP/2 or HTTP/1.1 as client and service like
  hopscope run --listen :8443 --tls-cert web.pem --tls-key web.key --to https://web.internal:3443 --to-ca ca.pem --service web

  # in front of a gRPC service without TLS
  hopscope run --listen :8080 --to h2c://127.0.0.1:50051 --service web

  # in front of all instances of a service in Consul
  hopscope run --listen :8080 --consul 127.0.0.1:8500 --to consul:payments

  # from a file, with one setting of its own
  hopscope run -c hopscope.yaml --log-level debug

  # in the place of the hopscope that runs from that file, such as after an update
  hopscope run -c hopscope.yaml --upgrade`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return run(c.Context(), f.source(c), f.upgrade)
		},
	}
	fileFlag(c, &f.file)
	f.front(c)
	p := c.Flags()
	p.StringVar(&f.service, "service", "", "`NAME` of the service, as every view shows it (default \"hopscope\")")
	p.StringVar(&f.admin, "admin", "", "serve the admin API on `ADDR`, host:port, or \"off\" (default 127.0.0.1:9901)")
	p.StringVar(&f.otlp, "otlp", "", "send spans by OTLP gRPC to the OpenTelemetry collector at `ADDR`, host:port")
	p.StringVar(&f.zipkin, "zipkin", "", "send spans to the Zipkin collector at `URL`, such as http://127.0.0.1:9411/api/v2/spans")
	p.Float64Var(&f.sample, "sample", 1, "`RATIO` of traces to export where this proxy is the first to see them, 0 to 1; failed and slow hops always are")
	p.StringVar(&f.accessLog, "access-log", "stdout", "write the access log to stdout, stderr, a file at `PATH`, or off for nowhere")
	p.StringVar(&f.logLevel, "log-level", "info", "least `LEVEL` of the proxy's own log: debug, info, warn, error")
	p.BoolVar(&f.upgrade, "upgrade", false, "take the listening sockets over from the hopscope that runs, which then drains and ends")
	return c
}

// setting is a flag that changes one key of the configuration.
type setting struct {
	flag, key string
	set       func(*config.Config)
}

func (f *runFlags) settings() []setting {
	return []setting{
		{"service", "service", func(c *config.Config) { c.Service = f.service }},
		{"admin", "admin.address", func(c *config.Config) { c.Admin.Address = f.admin }},
		{"consul", "consul.address", func(c *config.Config) { c.Consul.Address = f.consul }},
		{"otlp", "telemetry.traces.otlp.endpoint", func(c *config.Config) { c.Telemetry.Traces.OTLP = config.NewOTLP(f.otlp) }},
		{"zipkin", "telemetry.traces.zipkin.url", func(c *config.Config) { c.Telemetry.Traces.Zipkin = config.NewZipkin(f.zipkin) }},
		{"sample", "telemetry.traces.sample", func(c *config.Config) { c.Telemetry.Traces.Sample = f.sample }},
		{"access-log", "telemetry.access_log.path", func(c *config.Config) { c.Telemetry.AccessLog.Path = f.accessLog }},
		{"log-level", "log.level", func(c *config.Config) { c.Log.Level = f.logLevel }},
	}
}

// config makes the configuration of the file or of the flags, and puts the
// flags that were given over it.
func (f *runFlags) config(c *cobra.Command) (*config.Config, error) {
	cfg, err := f.base(c)
	if err != nil {
		return nil, err
	}
	flags := map[string]string{} // by the key that they set
	for _, s := range f.settings() {
		given := c.Flags().Changed(s.flag)
		if given {
			s.set(cfg)
		}
		if given || f.file == "" {
			flags[s.key] = "--" + s.flag
		}
	}
	if f.file == "" {
		f.frontKeys(cfg, flags)
	}
	if err := cfg.Validate(); err != nil {
		return nil, byFlags(err, flags)
	}
	if f.file == "" { // a file's own are named by their places in it
		return cfg, byFlags(cfg.CheckFiles(), flags)
	}
	return cfg, nil
}

// byFlags names mistakes by the flags that made them, given by their keys: who
// uses flags has no file to look into.
func byFlags(err error, flags map[string]string) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return err
	}
	var lines []string
	for _, m := range mistakes {
		flag := flags[m.Path]
		if strings.HasPrefix(m.Path, "clusters") { // which none but flags made, a file being valid
			if flag = clusterFlag(m.Path); flag == "" {
				continue // it has the service's name, whose mistake it is
			}
		}
		m.Path = cmp.Or(flag, m.Path)
		for key, flag := range flags {
			if strings.HasSuffix(key, ".address") { // one that two take
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

// run runs a proxy until a signal ends it, or another process takes over.
func run(ctx context.Context, from source, upgrade bool) error {
	cfg, err := from.read()
	if err != nil {
		return err
	}
	lines := startLines(os.Stderr)
	defer lines.stop()
	level := new(slog.LevelVar)
	level.UnmarshalText([]byte(cfg.Log.Level))
	log := newLog(lines, level)

	signals := listenToSignals()
	defer signals.stop()

	before, err := takeOver(ctx, cfg, upgrade)
	if err != nil {
		return err
	}
	r := &reloader{source: from, log: log}
	p, err := r.start(cfg, snapshot.Options{Log: log, Level: level, Version: version, Inherited: before.sockets(), Memory: before.memory(), LimitHeap: limitHeap()})
	if err != nil {
		before.giveBack()
		return err
	}
	announce(log, p, func(_, _ string) bool { return true })
	if a := p.AdminAddr(); a.IsValid() {
		log.Info("admin API", "url", fmt.Sprintf("http://%s/", a))
	}
	next, err := before.succeed(cfg, p, log)
	if errors.Is(err, errNotTaken) { // what it has accepted it serves; all else is the other's
		r.drain(ctx, func(ctx context.Context) error { return p.Retire(ctx, p.Registered()) }, signals, "the other process goes on")
		return err
	}
	if err != nil {
		p.Close(ctx)
		return err
	}
	defer next.close()
	defer r.follow(ctx, signals.reload)()
	for {
		select {
		case <-p.DrainRequested():
			next.close()
			r.drain(ctx, p.Close, signals, "POST /drain")
			return nil
		case peer := <-next.taken():
			registered := p.Registered() // all is left to one that does not say
			if peer.Registered != nil {
				registered = *peer.Registered
			}
			retire := func(ctx context.Context) error { return p.Retire(ctx, registered) }
			r.drain(ctx, retire, signals, fmt.Sprintf("process %d (%s) took over", peer.PID, peer.Version))
			return nil
		case s := <-signals.end:
			next.close()
			r.drain(ctx, p.Close, signals, s.String())
			return nil
		case <-signals.reopen:
			reopen(p, log)
		}
	}
}

// announce says where those listeners are that are news, and what to know of such
// clusters.
func announce(log *slog.Logger, p *snapshot.Proxy, news func(listener, cluster string) bool) {
	cfg := p.Config()
	for _, l := range cfg.Listeners {
		if !news(l.Name, "") {
			continue
		}
		protocols := []string{"h2c", "http/1.1"}
		if l.TLS != nil {
			protocols = l.TLS.ALPN
		}
		log.Info("listening", "listener", l.Name, "address", p.Addr(l.Name), "direction", l.Direction, "service", cfg.Service,
			"tls", l.TLS != nil, "protocols", strings.Join(protocols, ","))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Clusters)) {
		if t := cfg.Clusters[name].TLS; t != nil && t.InsecureSkipVerify && news("", name) {
			log.Warn("the endpoints' certificates are not verified: whoever answers is trusted", "cluster", name)
		}
	}
}

func reopen(p *snapshot.Proxy, log *slog.Logger) {
	if err := p.ReopenLog(); err != nil {
		log.Error("the access log could not be reopened; the old file stays in use", "error", err)
		return
	}
	log.Info("access log reopened")
}

// drain ends the proxy, in the given way: when what is in flight has ended, when
// the time for that is up, or at a second signal.
func (r *reloader) drain(ctx context.Context, end func(context.Context) error, signals *signals, why string) {
	r.draining.Store(true)
	p, log := r.proxy, r.log
	timeout := p.Config().Drain.Timeout
	log.Info("draining", "because", why, "timeout", timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- end(ctx) }()
	var enough <-chan time.Time
	for {
		select {
		case err := <-closed:
			if err != nil {
				log.Warn("not all that was recorded could be shown", "error", err)
			}
			log.Info("ended")
			return
		case <-enough:
			log.Warn("ended before all that was recorded could be shown")
			return
		case <-signals.reopen:
			reopen(p, log)
		case s := <-signals.end:
			if enough == nil {
				log.Info("ending at once", "because", s.String())
				cancel()
				enough = time.After(lastMoment)
			}
		}
	}
}

// lines writes the lines of the log in a goroutine of its own: that nobody
// reads them must not hold up who has something to say. Lines beyond what the
// queue holds are lost.
type lines struct {
	queue      chan []byte
	quit, done chan struct{}
}

func startLines(out io.Writer) *lines {
	l := &lines{make(chan []byte, 1024), make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			select {
			case line := <-l.queue:
				out.Write(line)
			case <-l.quit:
				for len(l.queue) > 0 {
					out.Write(<-l.queue)
				}
				return
			}
		}
	}()
	return l
}

// Write queues a line.
func (l *lines) Write(line []byte) (int, error) {
	select {
	case l.queue <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

// stop waits a moment until what is queued is written.
func (l *lines) stop() {
	close(l.quit)
	select {
	case <-l.done:
	case <-time.After(lastMoment):
	}
}
