package pathtemplate_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

func TestRewrite(t *testing.T) {
	template, err := pathtemplate.Parse("/{lang}/cart/{rest=**}.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ to, path, want string }{
		{"/v1/{rest}/{lang}", "/en/cart/a/b.json", "/v1/a/b/en"},
		{"/{lang}{lang}", "/en/cart/a.json", "/enen"},
		{"/fixed", "/en/cart/a.json", "/fixed"},
		{"/fixed", "/other", "/other"},
	} {
		r, err := template.Rewrite(tt.to)
		if err != nil {
			t.Errorf("%s: %v", tt.to, err)
		} else if got := string(r.Apply([]byte(tt.path))); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.to, tt.path, got, tt.want)
		}
	}
	for to, want := range map[string]string{"a": "begin with", "/{id}": `no variable "id"`, "/{lang": "not closed", "/*": "only variables", "/a?b": "only variables"} {
		if _, err := template.Rewrite(to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", to, err, want)
		}
	}
}
