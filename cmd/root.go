package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// Execute runs the command that the process was started with, and returns its exit code:
// 0, or 1 after it has printed an error; 2 if that is about a word that explain does not
// know; those of exit.go for the commands that ask the mesh. version is the program's own.
func Execute(version string) int {
	err := newRoot(version).ExecuteContext(context.Background())
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[exit](err); ok {
		if e.err != nil {
			complain(os.Stderr, e.err)
		}
		return e.code
	}
	complain(os.Stderr, err)
	if _, unknown := errors.AsType[unknownWords](err); unknown {
		return 2
	}
	return 1
}

// complain prints why a command failed. The mistakes of a configuration file begin with
// their place, where people and editors look for it.
func complain(w io.Writer, err error) {
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		fmt.Fprintln(w, redact.Text(mistakes.Error()))
		return
	}
	fmt.Fprintln(w, "hopscope:", redact.Text(err.Error()))
}

func newRoot(version string) *cobra.Command {
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

With a configuration file:
  hopscope run -c hopscope.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
	}
	// Not by cobra's own flag: its templates keep the linker from leaving out the methods of
	// all types, a fifth of the binary.
	asked := root.Flags().BoolP("version", "v", false, "version for hopscope")
	root.RunE = func(c *cobra.Command, args []string) error {
		if *asked {
			return writeVersion(c, version)
		}
		return help(c, args)
	}
	root.SetFlagErrorFunc(misuse)
	root.AddCommand(newRun(version), newReady(), newDemo(version), newWhy(), newTrace(), newTraces(), newTop(), newTail(), newCheck(), newConvert(), newExplain(), newConfig(), newVersion(version))
	return root
}

// help is what a command does that only holds others.
func help(c *cobra.Command, _ []string) error { return c.Help() }

// noArgs refuses arguments that are not flags: a command that does not exist, or a file
// without its -c.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		near := ""
		c.SuggestionsMinimumDistance = 2
		if names := c.SuggestionsFor(args[0]); len(names) > 0 {
			near = "; did you mean " + strconv.Quote(names[0]) + "?"
		}
		return misuse(c, fmt.Errorf("there is no command %q%s", args[0], near))
	case c.Flags().Lookup("config") != nil:
		return misuse(c, fmt.Errorf("unexpected argument %q; a file goes with -c", args[0]))
	}
	return misuse(c, fmt.Errorf("unexpected argument %q", args[0]))
}

// misuse adds to a mistake in the command line where to read on.
func misuse(c *cobra.Command, err error) error {
	return fmt.Errorf("%w\n%s --help shows how it is used", err, c.CommandPath())
}
