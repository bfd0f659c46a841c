package process

import (
	"io"
	"log/slog"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// NewLog returns a logger that writes text to w. No line shows a credential, whoever
// wrote it: errors quote URLs, and URLs hold passwords and keys.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
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
