package file_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/file"
)

const full = `
endpoints:
  - 10.0.0.1:8080                 # short form
  - address: 10.0.0.2:8080
    weight: 3
    priority: 1
    region: eu
    zone: eu-1a
    health: draining
    metadata: {version: v2, "1": "2"}
  - {address: 10.0.0.3:8080, weight: 2, health: degraded}
  - "[::1]:80"
  - address: web.example.com:80
    health: unhealthy
    metadata:
      note: |
        two
        lines
  - {"address": "10.0.0.4:80", "health": "healthy", "metadata": {}}
`

func TestParse(t *testing.T) {
	got, err := file.Parse("f", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := []discovery.Endpoint{
		{Address: "10.0.0.1:8080", Weight: 1},
		{Address: "10.0.0.2:8080", Weight: 3, Priority: 1, Locality: discovery.Locality{Region: "eu", Zone: "eu-1a"},
			Health: discovery.Draining, Metadata: map[string]string{"version": "v2", "1": "2"}},
		{Address: "10.0.0.3:8080", Weight: 2, Health: discovery.Degraded},
		{Address: "[::1]:80", Weight: 1},
		{Address: "web.example.com:80", Weight: 1, Health: discovery.Unhealthy, Metadata: map[string]string{"note": "two\nlines\n"}},
		{Address: "10.0.0.4:80", Weight: 1, Metadata: map[string]string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseOtherForms(t *testing.T) {
	one := []discovery.Endpoint{{Address: "10.0.0.1:80", Weight: 1}}
	for text, want := range map[string][]discovery.Endpoint{
		"endpoints: []":                  {},
		`{"endpoints":[]}`:               {},
		"endpoints: [10.0.0.1:80]":       one,
		"{endpoints: [10.0.0.1:80]}":     one,
		`{"endpoints": ["10.0.0.1:80"]}`: one,
		"{\n\t\"endpoints\": [\n\t\t{\n\t\t\t\"address\": \"10.0.0.1:80\"\n\t\t}\n\t]\n}\n": one,
		"\ufeff---\r\nendpoints:\r\n- 10.0.0.1:80\r\n":                                      one,
		"? endpoints\n: - 10.0.0.1:80":                                                      one,
	} {
		got, err := file.Parse("f", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                        `f:1:1: the file is empty`,
		"# nothing":                               `f:1:1: the file is empty`,
		"{}":                                      `f:1:1: the key "endpoints" is missing`,
		"endpoints:":                              `f:1:1: endpoints: expected a list, found nothing; no endpoint is written as []`,
		"endpoints: 10.0.0.1:80":                  `f:1:1: endpoints: expected a list, found "10.0.0.1:80"`,
		"endpoint: []":                            `f:1:1: endpoint: unknown key; did you mean "endpoints"? (valid keys: endpoints)`,
		"endpoints: []\nendpoints: []":            `f:2:1: endpoints: duplicate key; the first is in line 1`,
		"- 10.0.0.1:80":                           `f:1:1: expected a mapping with the key "endpoints", found a list`,
		"10.0.0.1:80":                             `found "10.0.0.1:80"`,
		"endpoints: [":                            `f:1:`,
		"endpoints: []\n---\nendpoints: []":       `f:2:1: a second YAML document begins here; a list of endpoints is one document`,
		"endpoints: [\xff]":                       `f:1:13: the byte 0xff is not UTF-8; save the file as UTF-8`,
		"endpoints:\n\t- 10.0.0.1:80":             `f:2:`,
		"endpoints:\n- [::1]:80":                  `an address in brackets needs quotes: "[::1]:8080"`,
		"endpoints:\n- [::1]":                     `f:2:`,
		"endpoints:\n- ::1":                       `f:2:3: endpoints[0]: an IPv6 address goes in brackets, with its port behind them: write [::1]:8080`,
		"endpoints:\n- 8080":                      `f:2:3: endpoints[0]: expected an address such as 10.0.0.1:8080, or a mapping with one, found 8080`,
		"endpoints:\n-":                           `endpoints[0]: expected an address such as 10.0.0.1:8080, or a mapping with one, found nothing`,
		"endpoints:\n- 10.0.0.1":                  `f:2:3: endpoints[0]: an address is host:port, and "10.0.0.1" has no port: write 10.0.0.1:8080`,
		"endpoints:\n- a:1\n- b:1\n- A:01":        `f:4:3: endpoints[2]: a:1 is there already, in line 2`,
		"endpoints:\n- weight: 1":                 `f:2:3: endpoints[0]: the key "address" is missing`,
		"endpoints:\n- adress: a:1":               `f:2:3: endpoints[0].adress: unknown key; did you mean "address"? (valid keys: address, weight, priority, region, zone, health, metadata)`,
		"endpoints:\n- address: [a:1]":            `f:2:12: endpoints[0].address: expected an address such as 10.0.0.1:8080, found a list`,
		"endpoints:\n- address: a:1\n  foo: 1":    `f:3:3: endpoints[0].foo: unknown key (valid keys: address`,
		"endpoints:\n- {address: a:1, weight: 0}": `f:2:26: endpoints[0].weight: expected a whole number from 1 to 1000000, found 0`,
		"endpoints:\n- {address: a:1, weight: 1000001}":         `found 1000001`,
		"endpoints:\n- {address: a:1, weight: 1.5}":             `found 1.5`,
		"endpoints:\n- {address: a:1, weight: \"2\"}":           `found "2"`,
		"endpoints:\n- {address: a:1, weight: 0x2}":             `found 0x2`,
		"endpoints:\n- address: a:1\n  weight:":                 `endpoints[0].weight: expected a whole number from 1 to 1000000, found nothing`,
		"endpoints:\n- {address: a:1, priority: -1}":            `f:2:28: endpoints[0].priority: expected a whole number from 0 to 128, found -1`,
		"endpoints:\n- {address: a:1, priority: 129}":           `found 129`,
		"endpoints:\n- {address: a:1, zone: 1}":                 `f:2:24: endpoints[0].zone: expected a string, found 1; write it in quotes: "1"`,
		"endpoints:\n- {address: a:1, region: [x]}":             `endpoints[0].region: expected a string, found a list`,
		"endpoints:\n- {address: a:1, health: drainning}":       `f:2:26: endpoints[0].health: expected one of healthy, degraded, unhealthy, draining, found "drainning"; did you mean "draining"?`,
		"endpoints:\n- {address: a:1, health: 1}":               `found 1`,
		"endpoints:\n- {address: a:1, metadata: x}":             `endpoints[0].metadata: expected a mapping such as {version: v2}, found "x"`,
		"endpoints:\n- {address: a:1, metadata: {v: 1}}":        `endpoints[0].metadata.v: expected a string, found 1; write it in quotes: "1"`,
		"endpoints:\n- {address: a:1, metadata: {v: x, v: y}}":  `f:2:35: endpoints[0].metadata.v: duplicate key`,
		"endpoints:\n- {address: a:1, metadata: {1: x}}":        `expected a key that is a word, found 1`,
		"endpoints:\n- &x {address: a:1}\n- *x":                 `f:2:3: endpoints[0]: expected an address such as 10.0.0.1:8080, or a mapping with one, found a YAML anchor, which is not supported`,
		"endpoints:\n- !!str a:1":                               `a YAML tag, which is not supported`,
		"endpoints:\n- <<: {address: a:1}":                      `a YAML alias, which is not supported`,
		"endpoints: " + strings.Repeat("[", 20):                 `nested deeper than 16 levels`,
		"endpoints:\n" + strings.Repeat("- ", 20):               `nested deeper than 16 levels`,
		manyKeys("k%d: 1\n"):                                    `f:1001:`,
		"endpoints: [{" + manyKeys("k%d: 1, ") + "address: a}]": `a mapping has more than 1000 keys`,
	} {
		endpoints, err := file.Parse("f", []byte(text))
		var list file.Errors
		if err == nil || endpoints != nil || !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, %v\nwant %s", text, endpoints, err, want)
		}
	}
}

func manyKeys(format string) string {
	var b strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestAllMistakesAreTold(t *testing.T) {
	_, err := file.Parse("f", []byte("endpoints:\n- address: a\n  weight: x\n- b\n"))
	want := strings.Join([]string{
		`f:2:12: endpoints[0].address: an address is host:port, and "a" has no port: write a:8080`,
		`f:3:11: endpoints[0].weight: expected a whole number from 1 to 1000000, found "x"`,
		`f:4:3: endpoints[1]: an address is host:port, and "b" has no port: write b:8080`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	_, err = file.Parse("f", []byte("endpoints:\n"+strings.Repeat("- a\n", 1000)))
	if n := len(err.(file.Errors)); n != 20 {
		t.Errorf("%d mistakes", n)
	}
}

func TestManyEndpoints(t *testing.T) {
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "  - address: 10.0.%d.%d:8080\n    weight: 2\n    zone: eu-1a\n    metadata: {version: v2}\n", i/250, i%250)
	}
	got, err := file.Parse("f", []byte(b.String()))
	if err != nil || len(got) != 5000 || got[4999].Address != "10.0.19.249:8080" || got[4999].Weight != 2 {
		t.Errorf("%d endpoints, %v", len(got), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{full, "", "endpoints: []", `{"endpoints":["a:1",{"address":"b:1"}]}`, "? endpoints\n: - a:1",
		"endpoints:\n- &x a:1\n- *x", "endpoints: [{<<: {}}]", "%YAML 1.2\n---\nendpoints: []", "{a: b:c:d}", "endpoints: !!seq []"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		endpoints, err := file.Parse("f", data)
		if err != nil {
			list, ok := err.(file.Errors)
			if !ok || len(list) == 0 || endpoints != nil {
				t.Fatalf("%T %v, %v", err, err, endpoints)
			}
			for _, e := range list {
				if e.Line < 1 || e.Column < 1 || e.Message == "" || e.File != "f" {
					t.Fatalf("%#v", e)
				}
			}
			return
		}
		if endpoints == nil {
			t.Fatal("neither endpoints nor an error")
		}
		seen := map[string]bool{}
		for _, e := range endpoints {
			address, err := discovery.ParseAddress(e.Address)
			if err != nil || address != e.Address || seen[address] || e.Weight < 1 || e.Priority < 0 || e.Health > discovery.Draining {
				t.Fatalf("%#v, %v", e, err)
			}
			seen[address] = true
		}
	})
}
