package forward

import "testing"

func TestShadowHost(t *testing.T) {
	for host, want := range map[string]string{
		"shop.test": "shop.test-shadow", "shop.test:8080": "shop.test-shadow:8080", "10.0.0.1:80": "10.0.0.1-shadow:80", "[::1]:80": "[::1]:80", "[::1]": "[::1]",
	} {
		if got := shadowHost(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
