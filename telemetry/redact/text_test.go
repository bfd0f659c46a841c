package redact

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"http://zipkin:9411/api/v2/spans", "http://zipkin:9411/api/v2/spans"},
		{"http://user:secret@zipkin/x", "http://REDACTED@zipkin/x"},
		{"http://token@zipkin/x", "http://REDACTED@zipkin/x"},
		{"http://a:se/cret@zipkin/x", "http://REDACTED@zipkin/x"},
		{"http://a:se?cret@zipkin/x?b=c", "http://REDACTED@zipkin/x?b=REDACTED"},
		{"http://a:se@cret@zipkin/x", "http://REDACTED@zipkin/x"},
		{"user:secret@zipkin", "REDACTED@zipkin"},
		{"http://zipkin/x?key=secret&b&c=", "http://zipkin/x?key=REDACTED&b&c="},
		{"http://a:b@h?x=secret@y", "http://REDACTED@h?x=REDACTED"},
		{"http://a:se#cret@zipkin/x", "http://REDACTED@zipkin/x"},
		{"http://h/x?b#secret", "http://h/x?b#REDACTED"},
		{"http://h/p?x=secret@y", "http://h/p?x=REDACTED"},
		{"http://h?x=secret@y", "http://REDACTED@y"}, // too much rather than too little
	} {
		if got := URL(tt.url); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"nothing = to see", "nothing = to see"},
		{`Post "http://u:s3cret@127.0.0.1:1/x?api_key=s3cret": dial tcp 127.0.0.1:1: connection refused`,
			`Post "http://REDACTED@127.0.0.1:1/x?api_key=REDACTED": dial tcp 127.0.0.1:1: connection refused`},
		{"see https://docs/x?page=2 and (https://s3cret@h)", "see https://docs/x?page=2 and (https://REDACTED@h)"},
		{`Get "/hops?token=s3cret&b=1"`, `Get "/hops?token=REDACTED&b=1"`},
		{"tags (password=s3cret) web", "tags (password=REDACTED web"},
		{"db_password=s3cret page_token=3", "db_password=REDACTED page_token=3"},
		{"urlprefix-web/ proto=grpc", "urlprefix-web/ proto=grpc"},
		{`Service.Meta.env == "prod"`, `Service.Meta.env == "prod"`},
		{"mail@example.com", "mail@example.com"},
	} {
		if got := Text(tt.text); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestErrorKeepsWhatItWraps(t *testing.T) {
	plain := errors.New("nothing to hide")
	if got := Error(plain, ""); got != plain {
		t.Errorf("%v became %v", plain, got)
	}
	if err := Error(nil, "s3cret"); err != nil {
		t.Errorf("no error became %v", err)
	}
	err := Error(fmt.Errorf("http://u:p@h: key s3cret of ab is refused: %w", io.EOF), "s3cret", "ab")
	if !errors.Is(err, io.EOF) || err.Error() != "http://REDACTED@h: key REDACTED of ab is refused: EOF" {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"token": true, "API-Key": true, "stripe_api_key": true, "db.password": true, "X-Consul-Token": true,
		"version": false, "page_token": false, "": false, "zone": false, "keys": false,
	} {
		if Names(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

// FuzzText puts a URL that net/url understands into a text: its password is gone.
func FuzzText(f *testing.F) {
	f.Add("Get ", "s3cret", "x=1")
	f.Add(`"`, "a b", "token=1&y=http://h")
	f.Fuzz(func(t *testing.T, before, password, query string) {
		u := url.URL{Scheme: "http", User: url.UserPassword("u", "P4ss"+password), Host: "h", Path: "/p", RawQuery: url.QueryEscape(query)}
		text := before + " " + u.String() + ` "` + u.String() + `"`
		if got := Text(text); strings.Contains(got, "P4ss") && !strings.Contains(before+query, "P4ss") {
			t.Errorf("%q became %q", text, got)
		}
	})
}
