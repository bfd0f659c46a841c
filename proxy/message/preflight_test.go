package message

import (
	"strings"
	"testing"
)

func TestPreflight(t *testing.T) {
	for _, tt := range []struct {
		method Method
		fields []string
		want   string
	}{
		{OPTIONS, []string{"Origin: a", "Access-Control-Request-Method: PUT"}, "PUT"},
		{OPTIONS, []string{"access-control-request-method: PUT"}, ""},
		{OPTIONS, []string{"origin: a"}, ""},
		{OPTIONS, []string{"origin: a", "access-control-request-method: "}, ""},
		{POST, []string{"origin: a", "access-control-request-method: PUT"}, ""},
	} {
		var h Head
		h.Begin(nil)
		h.Method = tt.method
		for _, f := range tt.fields {
			name, value, _ := strings.Cut(f, ": ")
			h.Add(Unknown, name, value)
		}
		if got := string(h.Preflight()); got != tt.want {
			t.Errorf("%s %q asks for %q, want %q", tt.method, tt.fields, got, tt.want)
		}
	}
}
