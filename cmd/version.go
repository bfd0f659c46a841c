package cmd

import (
	"fmt"
	"io"
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
			_, err := io.WriteString(c.OutOrStdout(), versionText(version))
			return err
		},
	}
}

func versionText(version string) string {
	return fmt.Sprintf("hopscope %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
