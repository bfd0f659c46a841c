// Command hopscope is a mesh proxy that one puts in front of a service to see
// every hop at once.
//
// The files beside this one are its commands: run.go, demo.go, check.go. What
// they run is put together in proxy/snapshot, which is where to start reading.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	if err := newRoot().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "hopscope:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hopscope",
		Short: "A mesh proxy that shows every hop, and which one failed",
		Long: `hopscope stands in front of a service and shows every hop of every request: as a
span, a metric, a log line and a response header. It says which hop failed, and
why.

See it first:
  hopscope demo

Put it in front of a service on port 3000, then open http://127.0.0.1:9901/
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web

See what the service calls as well (start it with HTTP_PROXY=http://127.0.0.1:8081)
  hopscope run --listen 127.0.0.1:8080 --to 127.0.0.1:3000 --service web --egress 127.0.0.1:8081

Go on with a file:
  hopscope run -c hopscope.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(newRun(), newDemo(), newCheck(), newConfig(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  hopscope version",
		Args:    cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "hopscope %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
