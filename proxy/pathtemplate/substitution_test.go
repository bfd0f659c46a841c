package pathtemplate_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

func TestSubstitution(t *testing.T) {
	for _, tt := range []struct{ regex, with, path, want string }{
		{"^/service/([^/]+)(/.*)$", `\2/instance/\1`, "/service/foo/v1/api", "/v1/api/instance/foo"},
		{"one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"},
		{"(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"},
		{"/a", "", "/a/b", "/b"},
		{"b+", `$1\\\0`, "/abb", `/a$1\bb`},
		{"x", "y", "/a", "/a"},
	} {
		s, err := pathtemplate.ParseSubstitution(tt.regex, tt.with)
		if err != nil {
			t.Errorf("%q: %v", tt.with, err)
		} else if got := string(s.Apply([]byte(tt.path))); got != tt.want {
			t.Errorf("%s with %s in %s: %q, want %q", tt.regex, tt.with, tt.path, got, tt.want)
		}
	}
	for with, want := range map[string]string{`\2`: "does not have", `a\`: "nothing follows", `\n`: "means nothing"} {
		if _, err := pathtemplate.ParseSubstitution("(a)", with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", with, err, want)
		}
	}
}
