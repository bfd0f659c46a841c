package redact

import (
	"net/url"
	"strings"
	"testing"
)

func TestAppendQuery(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", ""},
		{"token", "token"},
		{"a=1&b=2", "a=1&b=2"},
		{"token=s3cret", "token=REDACTED"},
		{"a=1&token=s3cret&b=2", "a=1&token=REDACTED&b=2"},
		{"ToKeN=s3cret", "ToKeN=REDACTED"},
		{"token=", "token=REDACTED"},
		{"token=a=b&c=d", "token=REDACTED&c=d"},
		{"token=a;b&c=d", "token=REDACTED&c=d"},
		{"a=1;token=s3cret", "a=1;token=REDACTED"},
		{"a;token=s3cret&b", "a;token=REDACTED&b"},
		{"&&=x&token=s&", "&&=x&token=REDACTED&"},
		{"to%6ben=s3cret", "to%6ben=REDACTED"},
		{"%74%6F%6B%65%6E=s3cret", "%74%6F%6B%65%6E=REDACTED"},
		{"token%=x&%zz=y", "token%=x&%zz=y"},
		{"access_token=s&accessToken=s&access-token=s", "access_token=REDACTED&accessToken=REDACTED&access-token=REDACTED"},
		{"user[password]=s&user%5Bpassword%5D=s&token[]=s&user.pwd=s", "user[password]=REDACTED&user%5Bpassword%5D=REDACTED&token[]=REDACTED&user.pwd=REDACTED"},
		{"password[hint]=cat", "password[hint]=cat"},
		{"AWSAccessKeyId=A&Signature=s&Expires=1", "AWSAccessKeyId=REDACTED&Signature=REDACTED&Expires=1"},
		{"sv=1&sig=s", "sv=1&sig=REDACTED"},
		{"X-Goog-Signature=s&X-Goog-Date=d", "X-Goog-Signature=REDACTED&X-Goog-Date=d"},
		{"X-Amz-Signature=s&X-Amz-Credential=c&X-Amz-Security-Token=t&X-Amz-Date=d",
			"X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Date=d"},
		{"id_token=s&refresh_token=s&api_key=s&apikey=s&passwd=s&secret=s&client_secret=s&code=s",
			"id_token=REDACTED&refresh_token=REDACTED&api_key=REDACTED&apikey=REDACTED&passwd=REDACTED&secret=REDACTED&client_secret=REDACTED&code=REDACTED"},
		{"tokens=5&barcode=1&a-very-long-key-that-ends-in-token=x", "tokens=5&barcode=1&a-very-long-key-that-ends-in-token=x"},
	}
	for _, tc := range cases {
		if got := string(AppendQuery([]byte("?"), []byte(tc.in))); got != "?"+tc.want {
			t.Errorf("%q\ngot  %q\nwant %q", tc.in, got, "?"+tc.want)
		}
	}
}

func TestAppendQueryAllocatesNothing(t *testing.T) {
	query, buf := []byte("a=1&token=s3cret&user%5Bpassword%5D=x"), make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() { buf = AppendQuery(buf[:0], query) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzQuery has net/url read the result: what it takes for the value
// of a password must be hidden, and all other values must be as they were.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&password=s3cret&b=2")
	f.Add("password=a;b=c&%70assword=x&=&&;")
	f.Add("user[password]=1&password[]=2&x.password=3")
	f.Fuzz(func(t *testing.T, query string) {
		out := string(AppendQuery(nil, []byte(query)))
		in, was := pairs(query), pairs(out)
		if len(in) != len(was) {
			t.Fatalf("%q has %d pairs, %q has %d", query, len(in), out, len(was))
		}
		for i := range in {
			key, err := url.PathUnescape(in[i][0])
			hidden := was[i][1] == Mark
			switch {
			case was[i][0] != in[i][0]:
				t.Fatalf("%q became %q: the key %q changed", query, out, in[i][0])
			case err == nil && strings.EqualFold(key, "password") && in[i][1] != "" && !hidden:
				t.Fatalf("%q became %q", query, out)
			case was[i][1] != in[i][1] && !strings.Contains(was[i][1], Mark):
				t.Fatalf("%q became %q: the value of %q changed", query, out, key)
			}
		}
	})
}

func pairs(query string) (all [][2]string) {
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		all = append(all, [2]string{key, value})
	}
	return all
}

func BenchmarkQuery(b *testing.B) {
	query, buf := []byte("page=2&sort=name&access_token=eyJhbGciOi"), make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendQuery(buf[:0], query)
	}
}
