package mesh

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestLogsSayWhatIsMissing: what a verdict may lack is told, not guessed.
func TestLogsSayWhatIsMissing(t *testing.T) {
	late := hopOf("web", 1, 0, 504)
	late.Flags, late.Attempts[0].Flags, late.Attempts[0].Status = hop.UpstreamTimeout, hop.UpstreamTimeout, 0
	line := string(accesslog.AppendLine(nil, late))
	var logs Logs
	if err := logs.Read("web\x1b.log", strings.NewReader(line+`{"status":"`+traceID.String()+`"}`), traceID); err != nil {
		t.Fatal(err)
	}
	if err := logs.Read("envoy.log", strings.NewReader("GET / 503 "+traceID.String()+"\n"+`{"trace":"`+traceID.String()+`"}`), traceID); err != nil {
		t.Fatal(err)
	}
	if err := logs.Read("mixed.log", strings.NewReader("an application: "+traceID.String()+"\n"+line), traceID); err != nil {
		t.Fatal(err)
	}
	f := logs.Assemble(traceID)
	for _, want := range []string{"web .log: lines that name the trace but could not be read: 1 (", "these lines do not have the timeouts of routes",
		"envoy.log: lines that name the trace but are in another format: 2; the default line is needed"} {
		if !slices.ContainsFunc(f.Notes, func(note string) bool { return strings.HasPrefix(note, want) }) {
			t.Errorf("no note %q in %q", want, f.Notes)
		}
	}
	if slices.ContainsFunc(f.Notes, func(note string) bool { return strings.HasPrefix(note, "mixed.log") }) {
		t.Errorf("a note about lines of another program: %q", f.Notes)
	}
	if !f.Failed() || len(f.Known) != 1 || f.Peers != nil {
		t.Errorf("%+v", f)
	}
	if err := logs.Read("web.log", iotest.ErrReader(errors.New("the disk is gone")), traceID); err == nil || err.Error() != "web.log: the disk is gone" {
		t.Errorf("error %v", err)
	}
}
