package config_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
)

func FuzzParseRouteTests(f *testing.F) {
	f.Add("tests:\n- {request: GET /a, headers: {x: y}, chance: 5, expect: {route: a}}\n")
	f.Add("tests: [{request: '', expect: {}}, {expect: {status: 999}}]")
	f.Add("tests: [&a {request: /, expect: {no_route: true}}, *a]")
	f.Fuzz(func(t *testing.T, text string) {
		tests, err := config.ParseRouteTests("tests.yaml", []byte(text))
		if err != nil {
			return
		}
		for i := range tests {
			if method, url, _ := tests[i].Question(); url == "" {
				t.Errorf("%q: method %q, and no URL", text, method)
			}
		}
	})
}
