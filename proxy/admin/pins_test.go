package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/pins"
)

// TestPins: whoever may read may have traces pinned, and what makes no sense is refused as
// a whole.
func TestPins(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	var pinned []hop.TraceID
	read := tokens(t, "read-hunter2-0123456789\n")
	api := New(Options{
		Access: &Access{Read: []*mesh.Tokens{read}, Refused: func(string) {}},
		Pin: func(_ context.Context, traces []hop.TraceID) int {
			pinned = append(pinned, traces...)
			return len(traces)
		},
	})
	post := func(body, token string) (status int, answer string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/pins", strings.NewReader(body))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	list := func(ids ...string) string {
		text, err := json.Marshal(map[string]any{"traces": ids, "more": "of a later version"})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tt := range []struct {
		name, body, token string
		status, pinned    int
	}{
		{"one", list(id), read.First(), 200, 1},
		{"none", list(), read.First(), 200, 0},
		{"as many as there may be", list(slices.Repeat([]string{id}, pins.MaxBatch)...), read.First(), 200, pins.MaxBatch},
		{"more", list(slices.Repeat([]string{id}, pins.MaxBatch+1)...), read.First(), 400, 0},
		{"endless", `{"traces": ["` + strings.Repeat("4", 1<<20), read.First(), 400, 0},
		{"a short id", list(id, "4bf9"), read.First(), 400, 0},
		{"no trace", list(strings.Repeat("0", 32)), read.First(), 400, 0},
		{"no hex", list(strings.Repeat("x", 32)), read.First(), 400, 0},
		{"no list", "[]", read.First(), 400, 0},
		{"nothing", "", read.First(), 400, 0},
		{"a stranger", list(id), "", 401, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pinned = nil
			if status, answer := post(tt.body, tt.token); status != tt.status || len(pinned) != tt.pinned {
				t.Errorf("%d, %d pinned: %s", status, len(pinned), answer)
			}
		})
	}
}

func FuzzPins(f *testing.F) {
	f.Add(`{"traces": ["4bf92f3577b34da6a3ce929d0e0e4736"]}`)
	f.Add(`{"traces": [""], "traces": null}`)
	f.Fuzz(func(t *testing.T, body string) {
		var pinned []hop.TraceID
		api := New(Options{Pin: func(_ context.Context, traces []hop.TraceID) int {
			pinned = traces
			return len(traces)
		}})
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/pins", strings.NewReader(body)))
		if w.Code != 200 && w.Code != 400 || len(pinned) > pins.MaxBatch || w.Code != 200 && pinned != nil || slices.Contains(pinned, hop.TraceID{}) {
			t.Errorf("%d: %v", w.Code, pinned)
		}
	})
}
