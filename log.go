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
	case slog.KindString:
		a.Value = slog.StringValue(redact.Text(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok && err != nil {
			a.Value = slog.AnyValue(redact.Error(err))
		}
	}
	return a
}
