package cmd

import (
	"io"
	"os"

	"github.com/hopscope/hopscope/telemetry/diagnose"
)

// isTerminal reports whether f is a terminal, judging by its mode.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colored reports whether to write colours to f: it is a terminal, and the user wants
// them.
func colored(f *os.File) bool { return isTerminal(f) && os.Getenv("NO_COLOR") == "" }

// textOptions says how a trace is drawn on w: in colour and as wide as it is if w is a
// terminal, else plain and 100 columns wide.
func textOptions(w io.Writer) diagnose.TextOptions {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return diagnose.TextOptions{}
	}
	return diagnose.TextOptions{Width: terminalWidth(f), Color: colored(f)}
}
