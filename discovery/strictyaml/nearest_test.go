package strictyaml

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	keys := []string{"cluster", "connect_timeout", "timeout", "idle_timeout", "via", "host", "b3", "b3multi"}
	tests := []struct{ name, want string }{
		{"clustr", "cluster"},
		{"clusters", "cluster"},
		{"culster", "cluster"},
		{"Cluster", "cluster"},
		{"connectTimeout", "connect_timeout"},
		{"connect-timeout", "connect_timeout"},
		{"timeut", "timeout"},
		{"idletimeout", "idle_timeout"},
		{"vai", "via"},
		{"b4", "b3"},
		{"b3-multi", "b3multi"},
		{"hosts", "host"},
		{"endpoints", ""},
		{"x", ""},
		{"", ""},
		{strings.Repeat("timeout", 10), ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.name, keys); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "abd", 1},
		{"abc", "acb", 1}, {"abcd", "badc", 2}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	}
	for _, tt := range tests {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
