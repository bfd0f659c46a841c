package clientcert_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/clientcert"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
)

// down is a connection of which the filter asks nothing but what it knows.
type down struct {
	filter.Conn
	info filter.ConnInfo
}

func (d *down) Info() *filter.ConnInfo { return &d.info }

// exchange is a request with these fields, of a client that has shown a
// certificate, or nil.
func exchange(t testing.TB, shown *x509.Certificate, fields ...string) *filter.Exchange {
	t.Helper()
	x := &filter.Exchange{Conn: &down{info: filter.ConnInfo{Certificate: shown}}}
	d := http1.HeadDecoder{Limits: http1.Limits{HeadBytes: 8 << 10, Fields: 100}}
	wire := []byte("GET / HTTP/1.1\r\nHost: web.test\r\n" + strings.Join(append(slices.Clone(fields), ""), "\r\n") + "\r\n")
	if n, err := d.Request(wire, &x.Request); err != nil || n != len(wire) {
		t.Fatalf("%q: %d, %v", wire, n, err)
	}
	return x
}

// left are the fields of a request, Host aside.
func left(h *message.Head) []string {
	all := []string{}
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed && f.ID != message.Host {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

// certificate is one that nobody has signed: the filter looks at what it says.
func certificate(t testing.TB, subject pkix.Name, uris []string, dns ...string) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{Raw: []byte("raw"), Subject: subject, DNSNames: dns}
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	return c
}

func hashOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func run(t testing.TB, o clientcert.Options, x *filter.Exchange) []string {
	t.Helper()
	reached := false
	if err := filter.Chain(func(*filter.Exchange) error { reached = true; return nil }, clientcert.New(o))(x); err != nil || !reached {
		t.Fatalf("error %v, reached the next: %t", err, reached)
	}
	return left(&x.Request)
}

func TestModes(t *testing.T) {
	c := certificate(t, pkix.Name{CommonName: "web", Organization: []string{"Shop"}}, []string{"spiffe://mesh/web"}, "web.test", "www.test")
	const name = "x-forwarded-client-cert: "
	element := "Hash=" + hashOf(c) + `;Subject="CN=web,O=Shop";URI=spiffe://mesh/web;DNS=web.test;DNS=www.test`
	came := []string{"X-Forwarded-Client-Cert: Hash=aa", "X-Other: 1", "x-forwarded-client-cert:  Hash=bb,Hash=cc ", "X-Forwarded-Client-Cert:"}
	by := func() []string { return []string{"spiffe://mesh/edge"} }
	tests := []struct {
		name   string
		mode   clientcert.Mode
		by     func() []string
		shown  *x509.Certificate
		fields []string
		want   []string
	}{
		{"sanitize", clientcert.Sanitize, by, c, came, came[1:2]},
		{"sanitize, no certificate", clientcert.Sanitize, by, nil, came, came[1:2]},
		{"sanitize, nothing came", clientcert.Sanitize, by, c, nil, []string{}},
		{"forward only", clientcert.ForwardOnly, by, c, came[:2], came[:2]},
		{"forward only, no certificate", clientcert.ForwardOnly, by, nil, came, came[1:2]},
		{"append", clientcert.AppendForward, nil, c, came, []string{came[1], name + "Hash=aa,Hash=bb,Hash=cc," + element}},
		{"append to nothing", clientcert.AppendForward, by, c, nil, []string{name + "By=spiffe://mesh/edge;" + element}},
		{"append, no certificate", clientcert.AppendForward, by, nil, came, came[1:2]},
		{"set", clientcert.SanitizeSet, by, c, came, []string{came[1], name + "By=spiffe://mesh/edge;" + element}},
		{"set, no certificate", clientcert.SanitizeSet, by, nil, came, came[1:2]},
		{"always forward only", clientcert.AlwaysForwardOnly, by, nil, came[:2], came[:2]},
		{"always forward only, certificate", clientcert.AlwaysForwardOnly, by, c, came[:2], came[:2]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, clientcert.Options{Mode: tt.mode, By: tt.by}, exchange(t, tt.shown, tt.fields...))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestElement(t *testing.T) {
	tests := []struct {
		name  string
		shown *x509.Certificate
		by    []string
		want  string // behind the hash
	}{
		{"nothing in it", certificate(t, pkix.Name{}, nil), nil, `;Subject="";URI=`},
		{"several URIs", certificate(t, pkix.Name{}, []string{"spiffe://mesh/a", "https://b.test/"}), nil, `;Subject="";URI=spiffe://mesh/a;URI=https://b.test/`},
		{"what separates elements", certificate(t, pkix.Name{CommonName: `a,b";Hash="`}, []string{"spiffe://mesh/a;URI=spiffe:,b"}, `x";URI=spiffe://mesh/root`),
			nil, `;Subject="CN=a\,b\"\;Hash=\"";URI="spiffe://mesh/a;URI=spiffe:,b";DNS="x\";URI=spiffe://mesh/root"`},
		{"control characters", certificate(t, pkix.Name{CommonName: "a\r\nX: b"}, nil, "a\x00b\x7f"), nil, `;Subject="CN=a%0D%0AX: b";URI=;DNS=a%00b%7F`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, clientcert.Options{Mode: clientcert.SanitizeSet}, exchange(t, tt.shown))
			want := []string{"x-forwarded-client-cert: Hash=" + hashOf(tt.shown) + tt.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The certificate itself is PEM in percent-encoding.
func TestCert(t *testing.T) {
	c := certificate(t, pkix.Name{}, nil)
	c.Raw = []byte("\xff\xff\xfe some / + = bytes")
	got := run(t, clientcert.Options{Mode: clientcert.SanitizeSet, Cert: true}, exchange(t, c))[0]
	_, value, _ := strings.Cut(got, `;Cert="`)
	value, behind, _ := strings.Cut(value, `"`)
	text, err := url.PathUnescape(value)
	if err != nil || strings.ContainsAny(value, " +/=\n") || !strings.HasPrefix(behind, ";Subject=") {
		t.Errorf("%q, %v, then %q", value, err, behind)
	}
	if block, _ := pem.Decode([]byte(text)); block == nil || string(block.Bytes) != string(c.Raw) {
		t.Errorf("%q is not the certificate", text)
	}
}

func TestModeOf(t *testing.T) {
	for word, want := range map[string]clientcert.Mode{
		"sanitize": clientcert.Sanitize, "forward_only": clientcert.ForwardOnly, "append_forward": clientcert.AppendForward,
		"sanitize_set": clientcert.SanitizeSet, "always_forward_only": clientcert.AlwaysForwardOnly, "": clientcert.Sanitize,
	} {
		if got := clientcert.ModeOf(word); got != want {
			t.Errorf("%q is mode %d, want %d", word, got, want)
		}
	}
}

func TestTheNextStepsErrorIsReturned(t *testing.T) {
	want := errors.New("no")
	if err := clientcert.New(clientcert.Options{})(func(*filter.Exchange) error { return want })(exchange(t, nil)); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}

// Whatever is in a certificate, it stays in its own value: a reader finds the
// keys that were written and no other.
func FuzzElement(f *testing.F) {
	f.Add("web", "spiffe://mesh/web", "web.test")
	f.Add(`\";Hash=x,By=y`, `spiffe://mesh/a"b\`, "a\\\";URI=\r\nX: y")
	f.Fuzz(func(t *testing.T, subject, uri, dns string) {
		c := &x509.Certificate{Raw: []byte("raw"), Subject: pkix.Name{CommonName: subject}, DNSNames: []string{dns}}
		u := &url.URL{Scheme: "spiffe", Opaque: uri}
		c.URIs = []*url.URL{u}
		value := strings.TrimPrefix(run(t, clientcert.Options{Mode: clientcert.SanitizeSet}, exchange(t, c))[0], "x-forwarded-client-cert: ")
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("a control character in %q", value)
		}
		var keys []string
		for _, pair := range split(value) {
			key, _, _ := strings.Cut(pair, "=")
			keys = append(keys, key)
		}
		if diff := cmp.Diff([]string{"Hash", "Subject", "URI", "DNS"}, keys); diff != "" {
			t.Errorf("%q: %s", value, diff)
		}
	})
}

// split cuts an element into its pairs, as a reader does.
func split(s string) []string {
	var pairs []string
	begin, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ';' || c == ','):
			pairs = append(pairs, s[begin:i])
			begin = i + 1
		}
	}
	return append(pairs, s[begin:])
}
