package message

import (
	"slices"
	"testing"
)

func TestVary(t *testing.T) {
	for _, tt := range []struct{ has, want []string }{
		{nil, []string{"origin"}},
		{[]string{"accept"}, []string{"accept", "origin"}},
		{[]string{"accept , Origin"}, []string{"accept , Origin"}},
		{[]string{"accept", "*"}, []string{"accept", "*"}},
		{[]string{"original"}, []string{"original", "origin"}},
	} {
		var h Head
		h.Begin(nil)
		for _, v := range tt.has {
			h.Add(Unknown, "Vary", v)
		}
		h.Vary("origin")
		var got []string
		for i := range h.Fields {
			got = append(got, string(h.Bytes(h.Fields[i].Value)))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q became %q, want %q", tt.has, got, tt.want)
		}
	}
}
