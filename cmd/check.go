package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/process"
)

func newCheck() *cobra.Command {
	var location string
	c := &cobra.Command{
		Use:                   "check -c FILE",
		DisableFlagsInUseLine: true,
		Short:                 "Check a configuration file",
		Long: `Check reads a configuration file and says what is wrong with it: every mistake
with its line and column, what was expected, and the nearest valid key. It also
reads the certificates, keys, revocation lists and lists of endpoints that the
file names. It exits with 0 if nothing is wrong.

Where the file says nothing, OpenTelemetry's environment variables count, as they do
for hopscope run: check names those that are set, and says which can't be used.`,
		Example: "  hopscope check -c hopscope.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if location == "" {
				return misuse(c, errors.New("nothing to check: give a file with -c"))
			}
			e := config.ReadEnvironment(os.Getenv)
			for _, w := range e.Warnings() {
				fmt.Fprintf(c.ErrOrStderr(), "an environment variable can't be used: %s\n", w)
			}
			if _, err := process.Check(c.Context(), location, e); err != nil {
				return err
			}
			if used := e.Used(); len(used) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "environment variables that count where %s says nothing: %s\n", location, strings.Join(used, ", "))
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", location)
			return err
		},
	}
	addConfigFlag(c, &location)
	return c
}

// addConfigFlag adds -c, which says where a configuration is.
func addConfigFlag(c *cobra.Command, location *string) {
	c.Flags().StringVarP(location, "config", "c", "", "configuration `FILE`, or a key in Consul, consul://host:port/key (its keys: hopscope config reference)")
	c.MarkFlagFilename("config", "yaml", "yml")
}
