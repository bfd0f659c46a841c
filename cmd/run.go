package cmd

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/process"
)

func newRun(version string) *cobra.Command {
	var f process.Flags
	o := process.Options{Version: version, Log: os.Stderr}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the proxy, from flags or from a file",
		Long: `Run starts the proxy. Flags are enough for one service; for more, use a file.

SIGTERM or SIGINT drains: the proxy accepts nothing new, finishes the requests in
flight, and exits. A second signal makes it exit at once. SIGUSR1 reopens the
access log. SIGUSR2 starts the program again with --upgrade.

The proxy reloads its file when the file changes, on SIGHUP, and on POST /reload
of the admin API. Connections and requests go on. If the file has mistakes, the
old configuration stays in use, and the log lists the mistakes.

With --upgrade, the new process takes the listening sockets from the running one,
so that no connection is refused or reset. The old process serves until the new
one is ready; then it drains and exits. The new process finds it by the user and
the admin address, or by the key upgrade_socket.

OpenTelemetry's environment variables (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_SERVICE_NAME, ...) count where neither the file nor a flag says anything.`,
		Example: `  # in front of a service on port 3000
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web

  # with two instances, and traces to Jaeger or any OpenTelemetry collector
  hopscope run --listen :8080 --to 127.0.0.1:3000,127.0.0.1:3001 --service web --otlp 127.0.0.1:4317

  # with the service's own calls as well: start it with HTTP_PROXY=http://127.0.0.1:8081
  hopscope run --listen :8080 --to 127.0.0.1:3000 --service web --egress 127.0.0.1:8081

  # with TLS on both sides, each of which negotiates HTTP/2 or HTTP/1.1
  hopscope run --listen :8443 --tls-cert web.pem --tls-key web.key --to https://web.internal:3443 --to-ca ca.pem --service web

  # in front of a gRPC service without TLS
  hopscope run --listen :8080 --to h2c://127.0.0.1:50051 --service web

  # in front of all instances of a service in Consul
  hopscope run --listen :8080 --consul 127.0.0.1:8500 --to consul:payments

  # from a file, with one setting changed
  hopscope run -c hopscope.yaml --log-level debug

  # replace the running hopscope without losing a connection, such as after an update
  hopscope run -c hopscope.yaml --upgrade`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.Check(); err != nil {
				return misuse(c, err)
			}
			f.Environment = config.ReadEnvironment(os.Getenv)
			if o.Again = os.Args; !o.Upgrade {
				o.Again = append(slices.Clip(o.Again), "--upgrade")
			}
			o.Source, o.Environment = f.Source(), f.Environment
			return process.Run(c.Context(), o)
		},
	}
	f.Given = c.Flags().Changed
	addConfigFlag(c, &f.Location)
	addQuickstartFlags(c, &f)
	addSettingFlags(c, &f)
	c.Flags().BoolVar(&o.Upgrade, "upgrade", false, "take the listening sockets from the running hopscope, which then drains and exits")
	return c
}

// addQuickstartFlags adds the flags for listeners and endpoints, in place of a file.
func addQuickstartFlags(c *cobra.Command, f *process.Flags) {
	p := c.Flags()
	p.StringVar(&f.Listen, "listen", "", "listen on `ADDR`, host:port, for requests to the service")
	p.StringVar(&f.TLSCert, "tls-cert", "", "serve TLS on --listen with the certificate in `FILE`")
	p.StringVar(&f.TLSKey, "tls-key", "", "private key of --tls-cert in `FILE`")
	p.StringSliceVar(&f.To, "to", nil, "send requests to the service at `ADDR`: host:port, https://host:port for TLS, h2c://host:port for "+
		"HTTP/2 without TLS, or consul:NAME for a service in Consul; several instances are separated by commas")
	p.StringVar(&f.ToCA, "to-ca", "", "verify the https:// endpoints of --to by the CA certificates in `FILE`, not the system's")
	p.BoolVar(&f.ToInsecure, "to-insecure", false, "do not verify the certificates of https:// endpoints (for trying things out)")
	p.StringVar(&f.Egress, "egress", "", "listen on `ADDR`, host:port, as a forward proxy for the service's own calls")
	for _, name := range []string{"tls-cert", "tls-key", "to-ca"} {
		c.MarkFlagFilename(name, "pem", "crt", "cer", "key")
	}
}

// addSettingFlags adds the flags that change a setting, of a file or of the default.
func addSettingFlags(c *cobra.Command, f *process.Flags) {
	p := c.Flags()
	p.StringVar(&f.Service, "service", "", "`NAME` of the service in logs, metrics and traces (default \"hopscope\")")
	p.StringVar(&f.Admin, "admin", "", "serve the admin API on `ADDR`, host:port, or \"off\" (default 127.0.0.1:9901)")
	p.StringVar(&f.AdminToken, "admin-token-file", "", "let those read the admin API who have a token in `FILE`; on anything but loopback one is needed")
	p.StringVar(&f.AdminControlToken, "admin-control-token-file", "", "let those control the admin API who have a token in `FILE`")
	p.BoolVar(&f.AdminInsecure, "admin-insecure", false, "let everyone who reaches the admin API read and control")
	p.StringVar(&f.Consul, "consul", "", "find services by the Consul agent at `ADDR`, host:port (default 127.0.0.1:8500)")
	p.StringVar(&f.OTLP, "otlp", "", "send spans by OTLP gRPC to the OpenTelemetry collector at `ADDR`, host:port")
	p.StringVar(&f.Zipkin, "zipkin", "", "send spans to the Zipkin collector at `URL`, such as http://127.0.0.1:9411/api/v2/spans")
	p.Float64Var(&f.Sample, "sample", 1, "export this `RATIO` of the traces that begin here, 0 to 1; failed and slow hops are always exported")
	p.StringVar(&f.AccessLog, "access-log", "stdout", "write the access log to `PATH`: stdout, stderr, a file, or off")
	p.StringVar(&f.LogLevel, "log-level", "info", "lowest `LEVEL` of the proxy's own log: debug, info, warn, error")
}
