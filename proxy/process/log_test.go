package process

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// TestTheLogShowsNoCredentials: whatever kind of value a line has, and in whatever
// place.
func TestTheLogShowsNoCredentials(t *testing.T) {
	const url = "http://u:x-hunter2@h/?api_key=y-hunter2"
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelInfo).With("bound", url)
	log.Info("message "+url, "text", url, "error", errors.New(url), "list", []string{"a", url}, "nothing", nil, slog.Group("group", "url", url),
		"number", 5, "level", slog.LevelWarn)
	for word := range strings.FieldsSeq(out.String()) {
		if strings.Contains(word, "-hunter2") {
			t.Errorf("the log shows a secret: %s", word)
		}
	}
	for _, want := range []string{"http://REDACTED@h/?api_key=REDACTED", "number=5", "nothing=<nil>", "group.url=", "level=INFO", "level=WARN"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}
