package hop

import "testing"

func TestExportedSpan(t *testing.T) {
	own, first, second := SpanID{1}, SpanID{2}, SpanID{3}
	for _, tt := range []struct {
		name     string
		attempts []Attempt
		want     SpanID
		only     bool
	}{
		{"no attempt", nil, own, false},
		{"one attempt: its id, which went out", []Attempt{{Span: first}}, first, true},
		{"an attempt that has no id", []Attempt{{}}, own, false},
		{"several attempts are children", []Attempt{{Span: first}, {Span: second}}, own, false},
	} {
		h := &Hop{Span: own, Attempts: tt.attempts}
		if got := h.ExportedSpan(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if only := h.Only(); (only != nil) != tt.only || only != nil && only != &h.Attempts[0] {
			t.Errorf("%s: the only attempt is %v", tt.name, only)
		}
	}
}

func TestRouteName(t *testing.T) {
	for _, tt := range []struct{ template, route, want string }{
		{"", "", ""},
		{"", "default", ""},
		{"", "/api/", "/api/"},
		{"/product/{id}", "default", "/product/{id}"},
		{"/product/{id}", "shop", "/product/{id}"},
		{"other", "shop", "other"},
	} {
		h := &Hop{Labels: &Labels{Route: tt.route}, Template: tt.template}
		if got := h.RouteName(); got != tt.want {
			t.Errorf("template %q, route %q: %q, want %q", tt.template, tt.route, got, tt.want)
		}
	}
}
