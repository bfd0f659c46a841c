package config

import "testing"

func TestBinder(t *testing.T) {
	tests := []struct {
		first, second string
		taken         bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{":0", ":0", false},
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"[::1]:80", "0.0.0.0:80", false},
		{":80", "127.0.0.1:80", true},
		{"127.0.0.1:80", ":80", true},
		{":80", "[::1]:80", true},
		{"[::1]:80", "[::]:80", true},
		{"[::]:80", ":80", true},
		{"0.0.0.0:80", "[::]:80", true},
		{"[::1]:80", "[0::1]:80", true},
		{"[::1]:80", "[::2]:80", false},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80", true},
		{"localhost:80", "LOCALHOST:80", true},
		{"localhost:80", "web:80", false},
		{"localhost:80", ":80", true},
		{"off", "off", false},
		{"nonsense:80:80", "nonsense:80:80", false},
	}
	for _, tt := range tests {
		b := make(binder)
		if owner := b.bind(tt.first, "first"); owner != "" {
			t.Errorf("%s is taken by %s at once", tt.first, owner)
		}
		want := ""
		if tt.taken {
			want = "first"
		}
		if got := b.bind(tt.second, "second"); got != want {
			t.Errorf("%s, then %s: taken by %q, want %q", tt.first, tt.second, got, want)
		}
	}
}
