package forwarded_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// down is a connection of which the filter asks nothing but what it knows.
type down struct {
	filter.Conn
	info filter.ConnInfo
}

func (d *down) Info() *filter.ConnInfo { return &d.info }

// exchange is a request with these fields, as it came in.
func exchange(t testing.TB, peer, version string, fields ...string) *filter.Exchange {
	t.Helper()
	x := &filter.Exchange{
		Hop:  &hop.Hop{Client: peer},
		Conn: &down{info: filter.ConnInfo{PeerIP: peer, Peer: peer + ":1234", Scheme: "http"}},
	}
	d := http1.HeadDecoder{Limits: http1.Limits{HeadBytes: 8 << 10, Fields: 100}}
	wire := []byte("GET / " + version + "\r\nHost: web.test:8080\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
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

func TestFields(t *testing.T) {
	const (
		v4 = "192.0.2.7"
		v6 = "2001:db8::7"
	)
	came := []string{
		"X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 198.51.100.2, 198.51.100.3", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: public.test", "Forwarded: for=198.51.100.1", "Forwarded: for=unknown;proto=https",
	}
	tests := []struct {
		name    string
		options forwarded.Options
		peer    string
		fields  []string
		want    []string
	}{
		{
			name: "append to nothing", peer: v4,
			want: []string{`forwarded: for=192.0.2.7;proto=http;host="web.test:8080"`, "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: http"},
		},
		{
			name: "append, nobody trusted", peer: v4, fields: came,
			want: []string{
				"X-Forwarded-Host: public.test",
				`forwarded: for=198.51.100.1, for=unknown;proto=https, for=192.0.2.7;proto=http;host="web.test:8080"`,
				"x-forwarded-for: 198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7", "x-forwarded-proto: http",
			},
		},
		{
			name: "append, a proxy in front is trusted", peer: v4, fields: came, options: forwarded.Options{TrustedProxies: 1},
			want: []string{
				"X-Forwarded-Proto: https", "X-Forwarded-Host: public.test",
				`forwarded: for=198.51.100.1, for=unknown;proto=https, for=192.0.2.7;proto=http;host="web.test:8080"`,
				"x-forwarded-for: 198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7",
			},
		},
		{
			name: "a trusted proxy that said nothing of the scheme", peer: v4, options: forwarded.Options{TrustedProxies: 1, Forwarded: forwarded.Pass},
			fields: []string{"X-Forwarded-For: 198.51.100.1"},
			want:   []string{"x-forwarded-for: 198.51.100.1, 192.0.2.7", "x-forwarded-proto: http"},
		},
		{
			name: "replace", peer: v4, fields: came, options: forwarded.Options{XForwarded: forwarded.Replace, Forwarded: forwarded.Replace},
			want: []string{`forwarded: for=192.0.2.7;proto=http;host="web.test:8080"`, "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: http"},
		},
		{
			name: "replace, whoever is trusted", peer: v4, fields: came, options: forwarded.Options{TrustedProxies: 2, XForwarded: forwarded.Replace, Forwarded: forwarded.Cut},
			want: []string{"x-forwarded-for: 192.0.2.7", "x-forwarded-proto: http"},
		},
		{name: "pass", peer: v4, fields: came, options: forwarded.Options{XForwarded: forwarded.Pass, Forwarded: forwarded.Pass}, want: came},
		{name: "cut", peer: v4, fields: came, options: forwarded.Options{XForwarded: forwarded.Cut, Forwarded: forwarded.Cut}, want: []string{}},
		{
			name: "one passed, one cut", peer: v4, fields: came, options: forwarded.Options{XForwarded: forwarded.Cut, Forwarded: forwarded.Pass},
			want: came[4:],
		},
		{
			name: "IPv6", peer: v6,
			want: []string{`forwarded: for="[2001:db8::7]";proto=http;host="web.test:8080"`, "x-forwarded-for: 2001:db8::7", "x-forwarded-proto: http"},
		},
		{
			name: "IPv6 with a zone", peer: "fe80::1%eth0",
			want: []string{`forwarded: for="[fe80::1]";proto=http;host="web.test:8080"`, "x-forwarded-for: fe80::1", "x-forwarded-proto: http"},
		},
		{
			name: "empty fields", peer: v4, fields: []string{"X-Forwarded-For:", "X-Forwarded-For:  ", "Forwarded:"},
			want: []string{`forwarded: for=192.0.2.7;proto=http;host="web.test:8080"`, "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: http"},
		},
		{
			name: "garbage is kept, but not believed", peer: v4, options: forwarded.Options{TrustedProxies: 1, Forwarded: forwarded.Pass},
			fields: []string{`X-Forwarded-For: <script>, ,"quoted, comma"`},
			want:   []string{`x-forwarded-for: <script>, ,"quoted, comma", 192.0.2.7`, "x-forwarded-proto: http"},
		},
		{
			name: "Via", peer: v4, options: forwarded.Options{Via: "web", XForwarded: forwarded.Pass, Forwarded: forwarded.Pass},
			fields: []string{"Via: 1.0 first"}, want: []string{"Via: 1.0 first", "via: 1.1 web"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange(t, tt.peer, "HTTP/1.1", tt.fields...)
			reached := false
			handler := filter.Chain(func(*filter.Exchange) error { reached = true; return nil }, forwarded.New(tt.options))
			if err := handler(x); err != nil || !reached {
				t.Fatalf("error %v, reached the next: %t", err, reached)
			}
			if diff := cmp.Diff(tt.want, left(&x.Request)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestViaHasTheVersionThatCameIn(t *testing.T) {
	x := exchange(t, "192.0.2.7", "HTTP/1.0")
	err := forwarded.New(forwarded.Options{Via: "web", XForwarded: forwarded.Pass, Forwarded: forwarded.Pass})(func(*filter.Exchange) error { return nil })(x)
	if diff := cmp.Diff([]string{"via: 1.0 web"}, left(&x.Request)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestTheNextStepsErrorIsReturned(t *testing.T) {
	want := errors.New("no")
	x := exchange(t, "192.0.2.7", "HTTP/1.1")
	if err := forwarded.New(forwarded.Options{})(func(*filter.Exchange) error { return want })(x); err != want {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestClient(t *testing.T) {
	tests := []struct {
		trusted int
		fields  []string
		want    string // "" for the peer
	}{
		{0, []string{"X-Forwarded-For: 198.51.100.1"}, ""},
		{1, nil, ""},
		{1, []string{"X-Forwarded-For: "}, ""},
		{1, []string{"X-Forwarded-For: , ,"}, ""},
		{1, []string{"X-Forwarded-For: 198.51.100.1"}, "198.51.100.1"},
		{1, []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{2, []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, "203.0.113.9"},
		{2, []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.9,198.51.100.1 , "}, "203.0.113.9"},
		{2, []string{"X-Forwarded-For: 1.1.1.1, 203.0.113.9", "X-Forwarded-For: 198.51.100.1"}, "203.0.113.9"},
		{3, []string{"X-Forwarded-For: 203.0.113.9", "X-A: b", "x-forwarded-for: 198.51.100.1"}, "203.0.113.9"},
		{1, []string{"X-Forwarded-For: 2001:DB8::1"}, "2001:db8::1"},
		{1, []string{"X-Forwarded-For: [2001:db8::1]"}, "2001:db8::1"},
		{1, []string{"X-Forwarded-For: [2001:db8::1]:443"}, "2001:db8::1"},
		{1, []string{"X-Forwarded-For: 198.51.100.1:55555"}, "198.51.100.1"},
		{1, []string{"X-Forwarded-For: ::ffff:198.51.100.1"}, "198.51.100.1"},
		// What is no address, and all that is to the left of it, is not believed.
		{1, []string{"X-Forwarded-For: 203.0.113.9, unknown"}, ""},
		{1, []string{"X-Forwarded-For: <script>alert(1)</script>"}, ""},
		{1, []string{"X-Forwarded-For: 198.51.100.1; DROP TABLE"}, ""},
		{1, []string{"X-Forwarded-For: 198.51.100.999"}, ""},
		{1, []string{"X-Forwarded-For: [198.51.100.1"}, ""},
		{1, []string{"X-Forwarded-For: fe80::1%<script>"}, "fe80::1"},
		{2, []string{"X-Forwarded-For: _hidden, 198.51.100.1"}, "198.51.100.1"},
		{3, []string{"X-Forwarded-For: 203.0.113.9, garbage, 198.51.100.1"}, "198.51.100.1"},
	}
	for _, tt := range tests {
		x := exchange(t, "192.0.2.7", "HTTP/1.1", tt.fields...)
		got, ok := forwarded.Client(&x.Request, tt.trusted)
		want, _ := netip.ParseAddr(tt.want)
		if got != want || ok != (tt.want != "") {
			t.Errorf("%q, %d trusted: %v, %t; want %q", tt.fields, tt.trusted, got, ok, tt.want)
		}

		// The Hop has it, or the peer.
		o := forwarded.Options{TrustedProxies: tt.trusted, XForwarded: forwarded.Pass, Forwarded: forwarded.Pass}
		if err := forwarded.New(o)(func(*filter.Exchange) error { return nil })(x); err != nil {
			t.Error(err)
		}
		client := tt.want
		if client == "" {
			client = "192.0.2.7"
		}
		if x.Hop.Client != client {
			t.Errorf("%q, %d trusted: the hop's client is %q, want %q", tt.fields, tt.trusted, x.Hop.Client, client)
		}
	}
}

// Whatever the field holds, the client is an IP address or the peer.
func FuzzClient(f *testing.F) {
	for _, v := range []string{"", "1.2.3.4", "a, [::1]:80", "fe80::1%eth0", ",,,", "[", "unknown"} {
		f.Add(v, 2)
	}
	f.Fuzz(func(t *testing.T, value string, trusted int) {
		h := new(message.Head)
		h.Begin(nil)
		h.Add(message.XForwardedFor, "x-forwarded-for", value)
		client, ok := forwarded.Client(h, trusted)
		if ok != client.IsValid() || ok && trusted <= 0 {
			t.Errorf("%q, %d trusted: %v, %t", value, trusted, client, ok)
		}
		if _, err := netip.ParseAddr(client.String()); ok && err != nil {
			t.Errorf("%q: %v", value, err)
		}
	})
}

func TestModeOf(t *testing.T) {
	for word, want := range map[string]forwarded.Mode{
		"append": forwarded.Append, "replace": forwarded.Replace, "pass": forwarded.Pass, "cut": forwarded.Cut,
	} {
		if got := forwarded.ModeOf(word); got != want {
			t.Errorf("%s: %d, want %d", word, got, want)
		}
	}
}
