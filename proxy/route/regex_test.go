package route_test

import (
	"regexp"
	"testing"

	"github.com/hopscope/hopscope/proxy/route"
)

var (
	expressions = []string{
		"", "a", "abc", "a.*", ".*a", ".*a.*", ".*", ".+a", "a.*b", "(a.*)", "(?i)a.*", "(?s)a.*", "(?s).*a", "(?:a).*", "a|ab.*", "a.*?", `curl/.*`, `\.js`, `.*\.js`, "^a.*", "a.*$",
		"é.*", ".*é", "[a].*", "a{2}.*", "(?U)a.*",
	}
	texts = []string{"", "a", "A", "ab", "ba", "bab", "abc", "aab", "curl/8", "curl/", "x.js", ".js", "xjs", "a\n", "\na", "a\xff", "\xffa", "é", "éa", "aé", "\xc3", "a\nb"}
)

// An expression that is plainer to compare means what it did.
func TestRegexIsRE2(t *testing.T) {
	for _, e := range expressions {
		for _, text := range texts {
			sameAsRE2(t, e, text)
		}
	}
}

func FuzzRegex(f *testing.F) {
	for i, e := range expressions {
		f.Add(e, texts[i%len(texts)])
	}
	f.Fuzz(sameAsRE2)
}

func sameAsRE2(t *testing.T, expression, text string) {
	r, err := route.ParseRegex(expression)
	if err != nil {
		return
	}
	want := regexp.MustCompile(`\A(?:` + expression + `)\z`).MatchString(text)
	if got := r.Match([]byte(text)); got != want {
		t.Errorf("%q of %q: %v, want %v", expression, text, got, want)
	}
}
