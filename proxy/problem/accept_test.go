package problem

import (
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	const chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	for _, tt := range []struct {
		name   string
		accept string // fields, separated by newlines
		page   Form   // where there is a page
		none   Form   // where there is none
	}{
		{"no field", "", Text, Text},
		{"an empty field", "\n", Text, Text},
		{"curl", "*/*", Text, Text},
		{"a browser", chrome, HTML, Text},
		{"a program", "application/json", JSON, JSON},
		{"a program that knows problems", "application/problem+json", JSON, JSON},
		{"a program with a dialect", "application/vnd.api+json", JSON, JSON},
		{"axios", "application/json, text/plain, */*", JSON, JSON},
		{"jQuery", "application/json, text/javascript, */*; q=0.01", JSON, JSON},
		{"case and space", " Application/JSON ;\tQ=0.5 , text/plain;q=0.4", JSON, JSON},
		{"two fields", "text/plain;q=0.5\napplication/json;q=0.7", JSON, JSON},
		{"text first", "text/plain, application/json;q=0.9", Text, Text},
		{"a page before JSON", "text/html, application/json;q=0.9", HTML, JSON},
		{"JSON before a page", "text/html;q=0.8, application/json;q=0.9", JSON, JSON},
		{"both alike", "text/html, application/json", JSON, JSON},
		{"any of a type", "application/*", JSON, JSON},
		{"any text", "text/*", HTML, Text},
		{"any text but pages", "text/*, text/html;q=0", Text, Text},
		{"all but text", "*/*, text/plain;q=0", JSON, JSON},
		{"rather not text", "*/*, text/plain;q=0.1, application/json;q=0.1", HTML, JSON},
		{"JSON, but no problems", "application/json, application/problem+json;q=0, */*;q=0.1", Text, Text},
		{"none of these", "image/png", Text, Text},
		{"none at all", "*/*;q=0", Text, Text},
		{"a parameter before the weight", `application/json; v="a,b;q=0" ;q=0.9, text/plain;q=0.8`, JSON, JSON},
		{"thousandths", "application/json;q=0.001", JSON, JSON},
		{"weights that are none", "application/json;q=1.001, application/json;q=2, application/json;q=.5, application/json;q=0.1234, application/json;q=a", Text, Text},
		{"no media ranges", "json, /, */, a/b/c, ,;q=1", Text, Text},
		{"a quote that does not end", `text/plain;a="b, application/json`, Text, Text},
		{"too many", strings.Repeat("a/b,", 100) + "application/json", Text, Text},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fields [][]byte
			if tt.accept != "" {
				for line := range strings.SplitSeq(strings.TrimSuffix(tt.accept, "\n"), "\n") {
					fields = append(fields, []byte(line))
				}
			}
			if page, none := Negotiate(fields, true), Negotiate(fields, false); page != tt.page || none != tt.none {
				t.Errorf("%s and, without a page, %s; want %s and %s", page.ContentType(), none.ContentType(), tt.page.ContentType(), tt.none.ContentType())
			}
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("text/html,application/json;q=0.9,*/*;q=0.8", "", true)
	f.Add(`a/b;c="\",q=1`, "application/problem+json;q=0.000", false)
	f.Fuzz(func(t *testing.T, first, second string, page bool) {
		form := Negotiate([][]byte{[]byte(first), []byte(second)}, page)
		if form == HTML && !page {
			t.Errorf("a page, and there is none")
		}
		if form == JSON && !strings.Contains(first+second, "*/*") && !strings.Contains(strings.ToLower(first+second), "application/") {
			t.Errorf("JSON, which nobody asked for")
		}
	})
}
