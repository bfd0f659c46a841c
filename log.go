package main

import (
	"io"
	"log/slog"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// newLog is the proxy's own log, on w. No line of it shows a credential, whoever
// wrote the line: errors quote URLs, and URLs hold passwords and keys.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hideCredentials}))
}

func hideCredentials(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny: // an error, a list
		text := a.Value.String()
		if shown := redact.Text(text); shown != text {
			a.Value = slog.StringValue(shown)
		}
	}
	return a
}
