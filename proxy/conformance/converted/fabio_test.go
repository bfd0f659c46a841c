package converted_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/convert"
)

// TestFabioRoutes holds the example to what Fabio's documentation says of its lines.
func TestFabioRoutes(t *testing.T) {
	text := example(t, "fabio/routes.in", map[string]string{"3001": "web", "3002": "canary", "3003": "api", "3004": "old"}, nil)
	r, err := convert.Fabio("routes", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, converted(t, r, "http"), nil)
	for _, tt := range []struct {
		host, target string
		status       int
		location     string
		endpoint     string
		asked        string // the target and the host that the endpoint sees
	}{
		{host: "example.test", target: "/api/users?x=1", status: 200, endpoint: "api", asked: "/users?x=1 example.test"},
		{host: "example.test", target: "/api/", status: 200, endpoint: "api", asked: "/ example.test"},
		{host: "other.test", target: "/legacy/x", status: 200, endpoint: "old", asked: "/v1/legacy/x legacy.test"},
		{host: "example.test", target: "/moved/x?y=1", status: 301, location: "https://www.example.test/moved/x?y=1"},
		{host: "example.test", target: "/docs/x?y=1", status: 302, location: "https://docs.test/start"},
		{host: "example.test", target: "/office", status: 403},
		{host: "example.test", target: "/open", status: 200, endpoint: "api", asked: "/open example.test"},
		{host: "example.test", target: "/secret", status: 501},
		{host: "shop-eu.test:9999", target: "/", status: 200, endpoint: "old", asked: "/ shop-eu.test:9999"},
		{host: "shop.test", target: "/", status: 404},
		{host: "any.test", target: "/gone", status: 404},
	} {
		got := c.ask(t, request{"GET", tt.host, tt.target, nil})
		asked := ""
		if got.Seen.Endpoint != "" {
			asked = got.Seen.Target + " " + got.Seen.Host
		}
		want := []any{tt.status, tt.location, tt.endpoint, tt.asked}
		if d := cmp.Diff(want, []any{got.Status, got.Location, got.Seen.Endpoint, asked}); d != "" {
			t.Errorf("%s%s (-want +got):\n%s", tt.host, tt.target, d)
		}
	}
	shares := map[string]int{}
	for range 50 {
		shares[c.ask(t, request{"GET", "example.test", "/", nil}).Seen.Endpoint]++
	}
	if d := cmp.Diff(map[string]int{"web": 40, "canary": 10}, shares); d != "" {
		t.Errorf("weight 0.8 (-want +got):\n%s", d)
	}
}

// TestFabioAuth: routes that ask for passwords do so with the users of the same file.
func TestFabioAuth(t *testing.T) {
	users := filepath.Join(t.TempDir(), "staff")
	if err := os.WriteFile(users, []byte("ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "proxy.auth = name=staff;type=basic;file=" + users + ";realm=The staff\n" +
		`route add admin example.test/admin http://` + endpoint(t, "admin", nil) + `/ opts "auth=staff strip=/admin"` + "\n"
	r, err := convert.Fabio("routes", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, converted(t, r, "http"), nil)
	for credentials, want := range map[string]outcome{
		"":           {Status: 401},
		"ann:wrong":  {Status: 401},
		"ann:secret": {Status: 200, Seen: seen{Endpoint: "admin", Target: "/x"}},
	} {
		fields := map[string]string{}
		if credentials != "" {
			fields["authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
		}
		got := c.ask(t, request{"GET", "example.test", "/admin/x", fields})
		if got.Status != want.Status || got.Seen.Endpoint != want.Seen.Endpoint || got.Seen.Target != want.Seen.Target {
			t.Errorf("%q: %+v, want %+v", credentials, got, want)
		}
	}
}
