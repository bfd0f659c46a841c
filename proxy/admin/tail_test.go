package admin

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tail"
)

// TestTail: a reader gets what ended since its last number, and what it may not ask for is
// said.
func TestTail(t *testing.T) {
	source := tail.New()
	api := New(Options{Service: "web", Tail: source})
	ask := func(query string) (status int, lines []tailLine, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest("GET", "/v1/tail"+query, nil))
		for line := range strings.Lines(w.Body.String()) {
			var l struct {
				Number, Missed uint64
				Hop            *struct{}
			}
			if w.Code == 200 && json.Unmarshal([]byte(line), &l) != nil {
				t.Fatalf("%s: %q", query, line)
			}
			lines = append(lines, tailLine{Number: l.Number, Missed: l.Missed})
		}
		return w.Code, lines, w.Body.String()
	}
	_, lines, _ := ask("")
	if len(lines) != 1 || lines[0].Number == 0 {
		t.Fatalf("%+v", lines)
	}
	for status := range 3 {
		source.Observe(&hop.Hop{Labels: &hop.Labels{Service: "web"}, Trace: hop.TraceID{1}, Start: time.Now(), Status: 200 + 300*(status%2)})
	}
	if _, lines, body := ask("?after=1"); len(lines) != 4 || strings.Count(body, `"hop":{"trace_id":"01`) != 3 {
		t.Errorf("%+v: %s", lines, body)
	}
	if _, _, body := ask("?after=1&failed=1"); strings.Count(body, `"hop":`) != 1 || !strings.Contains(body, `"status":500`) {
		t.Error(body)
	}
	for query, want := range map[string]string{"?wait=1h": "at most 20s", "?after=x": "the number of a line before", "?slow=1": `there is no parameter \"slow\"`, "?failed=maybe": "1 or 0"} {
		if status, _, body := ask(query); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: status %d: %s", query, status, body)
		}
	}
}
