package pathtemplate_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct{ template, path, want string }{ // want: what is captured, "-" for no match
		{"/", "/", ""},
		{"/", "/a", "-"},
		{"/cart", "/cart", ""},
		{"/cart", "/cart/", "-"},
		{"/cart/", "/cart/", ""},
		{"/cart/", "/cart", "-"},
		{"/cart/{id}/items", "/cart/7/items", "7"},
		{"/cart/{id}/items", "/cart//items", "-"},
		{"/cart/{id}/items", "/cart/7/8/items", "-"},
		{"/cart/{id}/items", "/cart/7/items/", "-"},
		{"/cart/{id}/items", "/cart/7/item", "-"},
		{"/cart/{id}", "/cart/a=b*%2F", "a=b*%2F"},
		{"/cart/*", "/cart/7", ""},
		{"/cart/*", "/cart/", "-"},
		{"/{a}/{b=*}", "/x/y", "x y"},
		{"/**", "/", ""},
		{"/**", "/a/b", ""},
		{"/a/**", "/a/", ""},
		{"/a/**", "/a", "-"},
		{"/a/{rest=**}", "/a/b/c", "b/c"},
		{"/a/{rest=**}/end", "/a/b/c/end", "b/c"},
		{"/a/{rest=**}/end", "/a/end", "-"},
		{"/a/**/end", "/a//end", ""},
		{"/{v=videos/*}/x", "/videos/7/x", "videos/7"},
		{"/{v=videos/*/end}/x", "/videos/7/end/x", "videos/7/end"},
		{"/videos/*.mp4", "/videos/a.mp4", ""},
		{"/videos/*.mp4", "/videos/.mp4", "-"},
		{"/videos/*.mp4", "/videos/a.mp3", "-"},
		{"/videos/*.mp4", "/videos/a.mp4/b", "-"},
		{"/videos/{name}.mp4", "/videos/a.b.mp4", "a.b"},
		{"/videos/{name=**}.mp4", "/videos/a/b.mp4", "a/b"},
	} {
		template, err := pathtemplate.Parse(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		var captures pathtemplate.Captures
		got := "-"
		if template.Match([]byte(tt.path), &captures) {
			var all []string
			for _, c := range captures {
				if c != nil {
					all = append(all, string(c))
				}
			}
			got = strings.Join(all, " ")
		}
		if got != tt.want {
			t.Errorf("%s and %s: %q, want %q", tt.template, tt.path, got, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for template, want := range map[string]string{
		"cart": `begin with "/"`, "//": "neither text", "/a//b": "neither text", "/a*": "neither text", "/{id": "not closed",
		"/{}": "no name", "/{7}": "no name", "/{id}{x}": "only text may follow", "/*a/b": "only text may follow", "/{a}/{a}": "two variables",
		"/**/*": "must be the last", "/**/{a}": "must be the last", "/{a=}": "ends without", "/{a=b/}": "ends without", "/{a=*x}": "whole segment",
		"/{a}/{b}/{c}/{d}/{e}/{f}": "more than 5", "/{abcdefghijklmnopq}": "more than 16", "/a b": "neither text", "/*a=b": "characters",
	} {
		if _, err := pathtemplate.Parse(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", template, err, want)
		}
	}
}

func TestPrefix(t *testing.T) {
	for template, want := range map[string]string{"/cart/{id}/items": "/cart/", "/*": "/", "/a/b": "/a/b", "/{v=videos/*}": "/videos/"} {
		parsed, err := pathtemplate.Parse(template)
		if err != nil || parsed.Prefix() != want {
			t.Errorf("%s: %q, %v", template, parsed.Prefix(), err)
		}
	}
}

// FuzzTemplate checks that whatever is captured are parts of the path that do not overlap,
// and that every path that matches begins with the prefix.
func FuzzTemplate(f *testing.F) {
	f.Add("/cart/{id}/items", "/cart/7/items")
	f.Add("/a/{x=**}/b.c", "/a/b/c/b.c")
	f.Add("/{a=b/*/c}/*.d", "/b/x/c/y.d")
	f.Fuzz(func(t *testing.T, text, path string) {
		template, err := pathtemplate.Parse(text)
		if err != nil {
			return
		}
		var captures pathtemplate.Captures
		if !template.Match([]byte(path), &captures) {
			return
		}
		if !strings.HasPrefix(path, template.Prefix()) {
			t.Errorf("%q matches %q, and does not begin with %q", path, text, template.Prefix())
		}
		rest := path
		for _, c := range captures {
			_, after, ok := strings.Cut(rest, string(c))
			if !ok {
				t.Errorf("%q is not in %q", c, rest)
			}
			rest = after
		}
	})
}
