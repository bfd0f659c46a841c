package strictyaml

import (
	"strings"
	"testing"
)

var options = Options{What: "a test", Nesting: 16, Keys: 25_000, MappingKeys: 1000}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{ // the kind of the body
		"":                        "",
		"# nothing\n":             "",
		"a: 1\n":                  "Mapping",
		"\ufeff---\r\na: 1\r\n":   "Mapping",
		"- a\n- b\n":              "Sequence",
		"{a: 127.0.0.1:80, a: 2}": "Mapping",
	} {
		body, mistake := Parse([]byte(text), options)
		kind := ""
		if body != nil {
			kind = body.Type().String()
		}
		if mistake != nil || kind != want {
			t.Errorf("%q: %s, %v, want %s", text, kind, mistake, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	var deep strings.Builder
	for i := range 100 {
		deep.WriteString(strings.Repeat(" ", i) + "k:\n")
	}
	many := strings.Repeat("k: 1\n", 1001)
	for text, want := range map[string]Error{
		"a: caf\xe9\n":                       {1, 7, "the byte 0xe9 is not UTF-8; save the file as UTF-8"},
		"\xff\xfea\x00":                      {1, 1, "the file is UTF-16; save it as UTF-8"},
		"a: b\nc: \x00\n":                    {2, 4, "the control character U+0000 is not allowed"},
		"a: b\n---\nc: d\n":                  {2, 1, "a second YAML document begins here; a test is one document"},
		"%YAML 1.2\n---\na: b\n":             {1, 1, "YAML directives (%) are not supported: remove the line"},
		"a:\n\tb: c\n":                       {2, 1, "YAML syntax: a tab can not indent YAML; use spaces"},
		"a: [\n":                             {1, 4, "YAML syntax: sequence end token ']' not found"},
		"a: " + strings.Repeat("[", 17):      {1, 20, "YAML syntax: nested deeper than 16 levels"},
		"a:\n" + strings.Repeat("- ", 17):    {2, 33, "YAML syntax: nested deeper than 16 levels"},
		deep.String():                        {65, 66, "YAML syntax: nested deeper than 16 levels"},
		many:                                 {1001, 2, "YAML syntax: a mapping has more than 1000 keys"},
		strings.Repeat("- {k: 1}\n", 25_001): {25_001, 5, "YAML syntax: the file has more than 25000 keys"},
		"a:\n- [::1]:80\n":                   {2, 8, `YAML syntax: value is not allowed in this context; an address in brackets needs quotes: "[::1]:8080"`},
	} {
		body, mistake := Parse([]byte(text), options)
		if body != nil || mistake == nil || *mistake != want {
			t.Errorf("%.40q: %v, %+v, want %+v", text, body, mistake, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "a: 1", "{a: b:c:d}", "? a\n: - b", "&x [*x]", "%YAML 1.2\n---\na: b", "a: !!seq []", "a: |\n  b\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, mistake := Parse(data, options)
		if mistake != nil && (body != nil || mistake.Line < 1 || mistake.Column < 1 || mistake.Message == "") {
			t.Fatalf("%v, %#v", body, mistake)
		}
		if body == nil {
			return
		}
		if line, column := Position(body); line < 1 || column < 1 {
			t.Fatalf("the body is at %d:%d", line, column)
		}
	})
}
