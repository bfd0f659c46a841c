package strictyaml

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"
	"github.com/google/go-cmp/cmp"
)

func TestJoinFlowScalars(t *testing.T) {
	tests := []struct {
		text string
		want string // the tokens' values
	}{
		{"{a: [web:80]}", "{ a : [ web:80 ] }"},
		{"{a: [127.0.0.1:3000, b:1]}", "{ a : [ 127.0.0.1:3000 , b:1 ] }"},
		{"{a: [b:c:d]}", "{ a : [ b:c:d ] }"},
		{"{a: {b: [é:80, c:1]}}", "{ a : { b : [ é:80 , c:1 ] } }"},
		{"{a:1}", "{ a:1 }"},
		{"{a: b, c: d}", "{ a : b , c : d }"},
		{"{a: [b: c]}", "{ a : [ b : c ] }"},
		{`{"a":1}`, "{ a : 1 }"},
		{`{a:"b"}`, "{ a : b }"},
		{"{a:[b]}", "{ a : [ b ] }"},
		{"{a:\n b}", "{ a : b }"},
		{"[web:80]", "[ web:80 ]"},
		{"a: b\nc: d", "a : b c : d"},
		{"{a: b}\nc:d", "{ a : b } c:d"},
	}
	for _, tt := range tests {
		tokens := joinFlowScalars(lexer.Tokenize(tt.text))
		values := make([]string, len(tokens))
		for i, token := range tokens {
			values[i] = token.Value
			if i > 0 && (token.Prev != tokens[i-1] || tokens[i-1].Next != token) {
				t.Errorf("%q: token %d is not linked", tt.text, i)
			}
		}
		if d := cmp.Diff(tt.want, strings.Join(values, " ")); d != "" {
			t.Errorf("%q: %s", tt.text, d)
		}
	}
}
