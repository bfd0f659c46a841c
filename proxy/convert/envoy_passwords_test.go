package convert_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// Routes ask for the passwords of a file, and are closed if there is none.
func TestEnvoyPasswords(t *testing.T) {
	const (
		kind  = `"@type": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth`
		users = `{name: p, typed_config: {` + kind + `, users: {filename: users.htpasswd}, forward_username_header: x-user}}`
		plain = `route: {cluster: a}`
	)
	for _, tt := range []struct {
		name, filter, route string
		file, field         string // of basic_auth
		status              int    // of an answer; 0 if the request is sent on
		notes               int    // one is of what browsers are told
	}{
		{"a file", users, plain, "users.htpasswd", "x-user", 0, 1},
		{"an answer", users, `direct_response: {status: 200}`, "users.htpasswd", "x-user", 200, 1},
		{"off for the route", users, plain + `, typed_per_filter_config: {p: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}`, "", "", 0, 0},
		{"other users for the route", users, plain + `, typed_per_filter_config: {p: {` + kind + `PerRoute, users: {filename: few.htpasswd}}}`, "few.htpasswd", "x-user", 0, 1},
		{"users of the route within", users, plain + `, typed_per_filter_config: {p: {` + kind + `PerRoute, users: {inline_string: "u:{SHA}x"}}}`, "", "", 501, 1},
		{"users within", `{name: p, typed_config: {` + kind + `, users: {inline_string: "u:{SHA}x"}}}`, plain, "", "", 501, 1},
		{"a field that can't be set", `{name: p, typed_config: {` + kind + `, users: {filename: f}, forward_username_header: connection}}`, plain, "", "", 501, 2},
		{"another field with the password", `{name: p, typed_config: {` + kind + `, users: {filename: f}, authentication_header: x-auth}}`, plain, "", "", 501, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := convert.Envoy("envoy.yaml", envoyWith(tt.filter, tt.route))
			if err != nil {
				t.Fatal(err)
			}
			route := r.Config.Listeners[0].Routes[0]
			file, field, status := "", "", 0
			if b := route.BasicAuth; b != nil {
				file, field = b.File, b.UsernameHeader
			}
			if route.Answer != nil {
				status = route.Answer.Status
			}
			if file != tt.file || field != tt.field || status != tt.status || len(r.Notes) != tt.notes {
				t.Errorf("file %q, field %q, status %d, notes %v", file, field, status, r.Notes)
			}
		})
	}
}
