package cmd

import (
	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/config"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Print the configuration's schema or its reference",
		Example: "  hopscope config reference | less",
		Args:    noArgs,
		RunE:    help,
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "schema",
			Short:   "Print the JSON Schema of the configuration, for editors",
			Example: "  hopscope config schema > hopscope.schema.json",
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Schema())
				return err
			},
		},
		&cobra.Command{
			Use:     "reference",
			Short:   "Print the reference of every key, in Markdown",
			Example: "  hopscope config reference > config.md",
			Args:    noArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				_, err := c.OutOrStdout().Write(config.Reference())
				return err
			},
		},
	)
	return c
}
