package pathform_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/pathform"
)

var all = pathform.Rules{Normalize: true, MergeSlashes: true, EscapedSlashes: pathform.Reject}

func TestForms(t *testing.T) {
	none := pathform.Rules{}
	normalize := pathform.Rules{Normalize: true}
	merge := pathform.Rules{MergeSlashes: true}
	unescape := pathform.Rules{Normalize: true, MergeSlashes: true, EscapedSlashes: pathform.Unescape}
	redirect := pathform.Rules{Normalize: true, MergeSlashes: true, EscapedSlashes: pathform.Redirect}
	tests := []struct {
		rules    pathform.Rules
		path     string
		form     string // "" where it is refused
		verdicts pathform.Verdict
	}{
		{all, "/", "/", pathform.Same},
		{all, "/admin", "/admin", pathform.Same},
		{all, "/.well-known/a.b/...", "/.well-known/a.b/...", pathform.Same},
		{all, "/a%20b%C3%A9%25;c=1", "/a%20b%C3%A9%25;c=1", pathform.Same},
		{all, "*", "*", pathform.Same},
		{all, "", "", pathform.Same},

		// RFC 3986 section 6.2.2.
		{all, "/%61%64%6d%69%6E%2D%2e%5F%7e%30", "/admin-._~0", pathform.Changed},
		{all, "/%c3%a9%2b%3a", "/%C3%A9%2B%3A", pathform.Changed},
		{all, "/a/b/c/./../../g", "/a/g", pathform.Changed},
		{all, "/../../x", "/x", pathform.Changed},
		{all, "/..", "/", pathform.Changed},
		{all, "/.", "/", pathform.Changed},
		{all, "/a/..", "/", pathform.Changed},
		{all, "/a/b/.", "/a/b/", pathform.Changed},
		{all, "/a/b/..", "/a/", pathform.Changed},
		{all, "/a/%2E%2e/b", "/b", pathform.Changed},
		{all, "/a/.%2e/b", "/b", pathform.Changed},
		{all, "/a/%2e/b", "/a/b", pathform.Changed},
		{all, `/a\..\b`, "/b", pathform.Changed},

		// Several slashes.
		{all, "//a///b//", "/a/b/", pathform.Changed},
		{all, "/.//a", "/a", pathform.Changed},
		{all, "/a//../b", "/a/b", pathform.Changed}, // as Envoy has it: ".." takes away the empty segment
		{normalize, "/.//a", "//a", pathform.Changed},
		{normalize, "//a", "//a", pathform.Same},
		{merge, "//a/.//%61/", "/a/./%61/", pathform.Changed},

		// Escaped slashes.
		{all, "/a%2fb", "", pathform.Slash},
		{all, "/a%5Cb", "", pathform.Slash},
		{all, "/a%252fb", "/a%252fb", pathform.Same}, // it is an escaped "%", once
		{normalize, "/a%2f..%5c%2e", "/a%2F..%5C.", pathform.Changed},
		{unescape, "/a%2f..%5cb", "/b", pathform.Changed},
		{redirect, "/a%2F%2Fb", "/a/b", pathform.Moved},
		{redirect, "/a/../b", "/b", pathform.Changed},
		{pathform.Rules{EscapedSlashes: pathform.Unescape}, "/a%2F../%61", "/a/../%61", pathform.Changed},

		// What is no escape.
		{all, "/100%", "/100%", pathform.Same},
		{all, "/%zz%4", "/%zz%4", pathform.Same},
		{all, "/%%32%66", "/%%32f", pathform.Changed},
		{all, "/%%32%46x%61", "/%%32Fxa", pathform.Changed},
		{all, "/%2%66", "/%2%66", pathform.Same},
		{all, "/%u002f", "/%u002f", pathform.Same},

		{all, "/a%00", "", pathform.Null},
		{all, "/a/..;/b", "", pathform.Parameter},
		{all, "/a/.;x=1/b", "", pathform.Parameter},
		{all, "/a/%2e.;b", "", pathform.Parameter},
		{all, "/a/...;b", "/a/...;b", pathform.Same},
		{none, `/../%00%2F..;//\`, `/../%00%2F..;//\`, pathform.Same},
	}
	for _, tt := range tests {
		form, verdict := tt.rules.Append([]byte("before"), []byte(tt.path))
		got := strings.TrimPrefix(string(form), "before")
		if verdict != tt.verdicts || verdict.Reason() == "" && got != tt.form {
			t.Errorf("%+v: %s: got %q, %d, want %q, %d", tt.rules, tt.path, got, verdict, tt.form, tt.verdicts)
		}
		if tt.rules.Plain([]byte(tt.path)) && verdict != pathform.Same {
			t.Errorf("%s looks plain", tt.path)
		}
		if (verdict.Reason() == "") != (tt.form != "" || tt.path == "") {
			t.Errorf("%s: refused because of %q", tt.path, verdict.Reason())
		}
	}
}

func TestFormsAllocateNothing(t *testing.T) {
	path, room := []byte("/a/../%61%2e//b"), make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { all.Append(room, path) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The normal form is normal: it stays as it is, and has nothing that could be read in
// another way.
func FuzzAppend(f *testing.F) {
	for _, path := range []string{"/a/../%61//b", `/%2e%2E/\x`, "/%%32%66", "/%2%66%", "/a%2fb/.;c", "/..//.."} {
		f.Add(path, true, true, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, normalize, merge bool, escaped uint8) {
		r := pathform.Rules{Normalize: normalize, MergeSlashes: merge, EscapedSlashes: pathform.Escaped(escaped % 4)}
		path := []byte("/" + text)
		form, verdict := r.Append(nil, path)
		if string(path) != "/"+text {
			t.Fatal("the path itself was changed")
		}
		if verdict.Reason() != "" {
			return
		}
		if (verdict == pathform.Same) != bytes.Equal(form, path) {
			t.Errorf("%q to %q: verdict %d", path, form, verdict)
		}
		again, verdict := r.Append(nil, form)
		if verdict != pathform.Same {
			t.Errorf("%q becomes %q, and that %q (%d)", path, form, again, verdict)
		}
		if r.Plain(path) && !bytes.Equal(form, path) {
			t.Errorf("%q looks plain", path)
		}
		if form[0] != '/' {
			t.Errorf("%q becomes %q", path, form)
		}
		segments := strings.Split(string(form), "/")
		for i, s := range segments {
			if normalize && (s == "." || s == ".." || strings.Contains(s, `\`)) || merge && s == "" && i > 0 && i < len(segments)-1 {
				t.Errorf("%q becomes %q", path, form)
			}
		}
	})
}
