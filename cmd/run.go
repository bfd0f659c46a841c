package cmd

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/process"
)

func newRun(version string) *cobra.Command {
	var f process.Flags
	o := process.Options{Version: version, Log: os.Stderr}
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
			if err := f.Check(); err != nil {
				return misuse(c, err)
			}
			o.Source = f.Source()
			return process.Run(c.Context(), o)
		},
	}
	f.Given = c.Flags().Changed
	addConfigFlag(c, &f.Location)
	addQuickstartFlags(c, &f)
	addSettingFlags(c, &f)
	c.Flags().BoolVar(&o.Upgrade, "upgrade", false, "take the listening sockets over from the hopscope that runs, which then drains and ends")
	return c
}

// addQuickstartFlags adds the flags for listeners and endpoints, in place of a file.
func addQuickstartFlags(c *cobra.Command, f *process.Flags) {
	p := c.Flags()
	p.StringVar(&f.Listen, "listen", "", "take requests on `ADDR`, host:port")
	p.StringVar(&f.TLSCert, "tls-cert", "", "take requests over TLS, with the certificate in `FILE`")
	p.StringVar(&f.TLSKey, "tls-key", "", "private key of --tls-cert in `FILE`")
	p.StringSliceVar(&f.To, "to", nil, "send requests to the service at `ADDR`, host:port, or https://host:port for TLS, or h2c://host:port "+
		"for HTTP/2 without; several, separated by commas, take turns; or at consul:NAME, a service in Consul")
	p.StringVar(&f.ToCA, "to-ca", "", "verify the https:// endpoints of --to by the authorities in `FILE`, not the system's")
	p.BoolVar(&f.ToInsecure, "to-insecure", false, "do not verify the https:// endpoints of --to (for trying things out)")
	p.StringVar(&f.Egress, "egress", "", "be a forward proxy on `ADDR`, host:port, for what the service calls")
	for _, name := range []string{"tls-cert", "tls-key", "to-ca"} {
		c.MarkFlagFilename(name, "pem", "crt", "cer", "key")
	}
}

// addSettingFlags adds the flags that change a setting, of a file or of the default.
func addSettingFlags(c *cobra.Command, f *process.Flags) {
	p := c.Flags()
	p.StringVar(&f.Service, "service", "", "`NAME` of the service, as every view shows it (default \"hopscope\")")
	p.StringVar(&f.Admin, "admin", "", "serve the admin API on `ADDR`, host:port, or \"off\" (default 127.0.0.1:9901)")
	p.StringVar(&f.Consul, "consul", "", "ask the Consul agent at `ADDR`, host:port, for what --to consul:NAME and a file's clusters name (default 127.0.0.1:8500)")
	p.StringVar(&f.OTLP, "otlp", "", "send spans by OTLP gRPC to the OpenTelemetry collector at `ADDR`, host:port")
	p.StringVar(&f.Zipkin, "zipkin", "", "send spans to the Zipkin collector at `URL`, such as http://127.0.0.1:9411/api/v2/spans")
	p.Float64Var(&f.Sample, "sample", 1, "`RATIO` of traces to export where this proxy is the first to see them, 0 to 1; failed and slow hops always are")
	p.StringVar(&f.AccessLog, "access-log", "stdout", "write the access log to stdout, stderr, a file at `PATH`, or off for nowhere")
	p.StringVar(&f.LogLevel, "log-level", "info", "least `LEVEL` of the proxy's own log: debug, info, warn, error")
}
