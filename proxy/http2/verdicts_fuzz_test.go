package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/message"
)

// comparable reports whether a field can be said in both protocols. Space around
// a value and capitals in a name are for HTTP/1 alone, and no list can hide a
// second line.
func comparable(name, value string) bool {
	switch {
	case len(name)+len(value) > 4096 || strings.ContainsAny(name, ":\r\n") || strings.Contains(value, "\n"):
		return false
	case strings.Trim(name, " \t") != name || strings.Trim(value, " \t") != value || strings.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return false
	}
	return !message.PropertiesOf([]byte(name)).Has(message.ConnectionSpecific)
}

// FuzzVerdictsOnRequests checks that both codecs refuse a request with the same
// status, or understand it in the same way.
func FuzzVerdictsOnRequests(f *testing.F) {
	for _, seed := range [][5]string{
		{"GET", "/a?b", "shop.test:80", "x-a", "1"},
		{"OPTIONS", "*", "[::1]", "expect", "100-continue"},
		{"CONNECT", "", "a:443", "content-length", "0"},
		{"POST", "/", "a.", "content-length", "5"},
		{"BREW", "/a#", "u@a", "content-length", "5, 5"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, method, target, host, name, value string) {
		if !comparable(name, value) || strings.EqualFold(name, "host") || len(method)+len(target)+len(host) > 4096 ||
			strings.ContainsAny(method+target+host, "\r\n") || strings.Contains(target, "://") || strings.Trim(host, " \t") != host {
			return
		}
		a := asked1{method: method, target: target, host: host}
		h1, status1 := decode1(t, strings.TrimSuffix(a.wire1(), "\r\n")+name+": "+value+"\r\n\r\n", false)
		h2, status2 := decode2(append(a.list2(), hpack.HeaderField{Name: name, Value: value}), false, !strings.EqualFold(name, "content-length"))
		if status1 != status2 {
			t.Fatalf("%q %q %q, %q: %q: HTTP/1 says %d, HTTP/2 %d", method, target, host, name, value, status1, status2)
		}
		if status1 != 0 {
			return
		}
		one, two := tell(h1), tell(h2)
		one.Framing, one.Length, two.Framing, two.Length = message.ByLength, max(one.Length, 0), message.ByLength, max(two.Length, 0)
		if one != two {
			t.Errorf("HTTP/1 understands %+v, HTTP/2 %+v", one, two)
		}
	})
}

// FuzzVerdictsOnResponses is the same for responses to a GET.
func FuzzVerdictsOnResponses(f *testing.F) {
	f.Add("200", "content-length", "5")
	f.Add("999", "x-a", "1")
	f.Add("204", "content-length", "5")
	f.Add("099", "cookie", "a")
	f.Fuzz(func(t *testing.T, code, name, value string) {
		if !comparable(name, value) || strings.ContainsAny(code, " \r\n") {
			return
		}
		h1, status1 := decode1(t, "HTTP/1.1 "+code+" Any Reason\r\n"+name+": "+value+"\r\n\r\n", true)
		ended := code == "204" || code == "304"
		h2, status2 := decode2([]hpack.HeaderField{{Name: ":status", Value: code}, {Name: name, Value: value}}, true, ended)
		if status1 != status2 {
			t.Fatalf("%q, %q: %q: HTTP/1 says %d, HTTP/2 %d", code, name, value, status1, status2)
		}
		if status1 == 0 && (h1.Status != h2.Status || (h1.Framing == message.ByLength || h2.Framing == message.ByLength) && (h1.Framing != h2.Framing || h1.Length != h2.Length)) {
			t.Errorf("HTTP/1 understands %+v, HTTP/2 %+v", tell(h1), tell(h2))
		}
	})
}
