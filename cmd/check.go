package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

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
file names. It exits with 0 if nothing is wrong.`,
		Example: "  hopscope check -c hopscope.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if location == "" {
				return misuse(c, errors.New("nothing to check: give a file with -c"))
			}
			if err := process.Check(c.Context(), location); err != nil {
				return err
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
