package cmd

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hopscope/hopscope/proxy/convert"
)

// converters are the formats that convert reads.
var converters = []struct {
	name, short string
	run         func(name string, data []byte) (*convert.Result, error)
}{
	{"envoy", "a bootstrap in YAML or JSON: its static resources", convert.Envoy},
	{"haproxy", "an haproxy.cfg", convert.HAProxy},
	{"fabio", "route commands (route add SERVICE HOST/PATH URL ...), and urlprefix- tags", convert.Fabio},
}

func newConvert() *cobra.Command {
	c := &cobra.Command{
		Use:   "convert",
		Short: "Turn the configuration of Envoy, HAProxy or Fabio into hopscope's",
		Long: `convert turns the configuration of another proxy into one of hopscope's, as far as it
goes. The result, on standard output, passes hopscope check. On standard error it lists
each line of the file that could not be converted, and each that is not quite the same
in hopscope, with the reason.

A route whose match can be said but whose action can't answers 501, so that no other
route takes its requests. FILE may be "-" for standard input.

The exit code is 0 if everything was converted, even if some of it differs, 3 if a line
was not converted, and 1 if there is no result.`,
		Example: "  hopscope convert envoy envoy.yaml > hopscope.yaml\n  hopscope convert haproxy /etc/haproxy/haproxy.cfg > hopscope.yaml",
		Args:    noArgs,
		RunE:    help,
	}
	for _, f := range converters {
		c.AddCommand(&cobra.Command{
			Use:                   f.name + " FILE",
			DisableFlagsInUseLine: true,
			Short:                 "Convert " + f.short,
			Example:               "  hopscope convert " + f.name + " FILE > hopscope.yaml",
			Args: func(c *cobra.Command, args []string) error {
				if len(args) != 1 {
					return misuse(c, fmt.Errorf("expected one file, found %d", len(args)))
				}
				return nil
			},
			RunE: func(c *cobra.Command, args []string) error { return runConvert(c, args[0], f.run) },
		})
	}
	return c
}

func runConvert(c *cobra.Command, path string, run func(string, []byte) (*convert.Result, error)) error {
	data, err := readWhole(c.InOrStdin(), path)
	if err != nil {
		return err
	}
	r, err := run(path, data)
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(c.ErrOrStderr(), n)
	}
	if _, err := c.OutOrStdout().Write(r.YAML); err != nil {
		return err
	}
	if !r.Complete() {
		return exit{code: exitFailed}
	}
	return nil
}

// readWhole reads a file that no configuration of a proxy is larger than.
func readWhole(in io.Reader, path string) ([]byte, error) {
	const most = 64 << 20
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if len(data) > most {
		return nil, fmt.Errorf("%s: it is larger than %d bytes", path, most)
	}
	return data, err
}
