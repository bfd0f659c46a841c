package cmd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/deploy/demo"
	"github.com/hopscope/hopscope/proxy/process"
)

func newDemo(version string) *cobra.Command {
	o := demo.Options{Version: version}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Start an embedded mesh with a failing and a slow hop, and watch it find them",
		Long: `Demo starts a small mesh in this process: services on real sockets, each with a
hopscope sidecar for its requests in and out, and steady traffic. One service
fails now and then, another is slow; the demo prints which ones as it finds them.
It needs no network and no root. Ctrl-C ends it.`,
		Example: "  hopscope demo\n  hopscope demo --rate 100 --duration 30s",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !(o.Rate > 0) { // nor is it NaN
				return errors.New("--rate must be more than 0")
			}
			if o.Duration < 0 {
				return errors.New("--duration must not be negative; 0 is until Ctrl-C")
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // then a second signal ends it at once
			o.Out = c.OutOrStdout()
			o.Color = colored(os.Stdout)
			o.Level = new(slog.LevelVar)
			o.Level.Set(slog.LevelWarn)
			o.Log = process.NewLog(os.Stderr, o.Level)
			return demo.Run(ctx, o)
		},
	}
	p := c.Flags()
	p.StringVar(&o.Admin, "admin", demo.DefaultAdmin, "serve the admin API on `ADDR`, host:port; if it is taken, on a free port")
	p.Float64Var(&o.Rate, "rate", 20, "send `N` requests a second")
	p.DurationVar(&o.Duration, "duration", 0, "end after this time, such as 30s; 0 is until Ctrl-C")
	return c
}
