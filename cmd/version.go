package cmd

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(version string) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  hopscope version",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return writeVersion(c, version)
		},
	}
}

func writeVersion(c *cobra.Command, version string) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "hopscope %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
