package header_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// head has fields, "name: value" each.
func head(fields ...string) *message.Head {
	h := new(message.Head)
	h.Begin(nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
	return h
}

func fieldsOf(h *message.Head) (all []string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

func TestChanges(t *testing.T) {
	h := &hop.Hop{
		Labels: &hop.Labels{Route: "cart", Cluster: "web"}, Client: "10.1.2.3", Peer: "10.1.2.3:555", Version: hop.HTTP2, Scheme: "https",
		Start: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), Trace: hop.TraceID{1},
		TLS: &hop.TLS{Peer: "spiffe://mesh/ns/web", PeerSubject: "CN=a\r\nb", Version: "1.3"},
	}
	type values = map[string]string
	tests := []struct {
		what   string
		spec   header.Spec
		before []string
		after  []string
	}{
		{"removed, whatever the case", header.Spec{Remove: []string{"X-A", "cookie"}}, []string{"x-a: 1", "Cookie: 2", "X-a: 3", "x-b: 4"}, []string{"x-b: 4"}},
		{"set", header.Spec{Set: values{"X-A": "b", "user-agent": "c"}}, []string{"x-a: 1", "User-Agent: 2", "x-a: 3"}, []string{"x-a: b", "user-agent: c"}},
		{"added", header.Spec{Add: values{"x-a": "b"}}, []string{"x-a: 1"}, []string{"x-a: 1", "x-a: b"}},
		{"removed, then set, then added", header.Spec{Remove: []string{"x-a"}, Set: values{"x-a": "1"}, Add: values{"x-a": "2"}}, []string{"x-a: 0"}, []string{"x-a: 1", "x-a: 2"}},
		{"its own value", header.Spec{Set: values{"x-a": "%REQ(x-a)%, %CLIENT_IP%"}}, []string{"x-a: 1", "x-a: 2"}, []string{"x-a: 1,2, 10.1.2.3"}},
		{"another where one is absent", header.Spec{Set: values{"x-a": "%REQ(x-b?x-c)%"}}, []string{"x-c: 3"}, []string{"x-c: 3", "x-a: 3"}},
		{"nothing to say", header.Spec{Set: values{"x-a": "%REQ(x-b)%"}, Add: values{"x-c": "%REQ(x-b)%"}}, []string{"x-a: forged", "x-c: 1"}, []string{"x-c: 1"}},
		{"a length", header.Spec{Set: values{"x-a": "<%REQ(x-b):3%>"}}, []string{"x-b: abcdef"}, []string{"x-b: abcdef", "x-a: <abc>"}},
		{"a per cent sign", header.Spec{Set: values{"x-a": "5%%"}}, nil, []string{"x-a: 5%"}},
		{"of the hop", header.Spec{Set: values{"x-a": "%ROUTE% %UPSTREAM_CLUSTER% %PROTOCOL% %START_TIME% %START_TIME(%s)% %DOWNSTREAM_PEER_URI_SAN% %REQ(:SCHEME)%"}}, nil,
			[]string{"x-a: cart web HTTP/2 2026-03-04T05:06:07.089Z 1772600767 spiffe://mesh/ns/web https"}},
		{"bytes that no field has", header.Spec{Set: values{"x-a": "%DOWNSTREAM_PEER_SUBJECT%"}}, nil, []string{"x-a: CN=a__b"}},
		{"blanks around", header.Spec{Set: values{"x-a": " a ", "x-b": " %REQ(x-c)% "}}, nil, []string{"x-a: a"}},
	}
	for _, tt := range tests {
		c, err := header.Compile(header.Request, tt.spec)
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		r := head(tt.before...)
		c.Apply(r, h, r, nil)
		if diff := cmp.Diff(tt.after, fieldsOf(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

func TestChangesOfResponses(t *testing.T) {
	h := &hop.Hop{Labels: &hop.Labels{}, Status: 503, Flags: hop.UpstreamOverflow}
	c, err := header.Compile(header.Response, header.Spec{Set: map[string]string{"x-a": "%REQ(x-r)% %RESP(x-s)% %RESPONSE_CODE% %RESPONSE_FLAGS%"}})
	if err != nil {
		t.Fatal(err)
	}
	r := head("x-s: s")
	c.Apply(r, h, head("x-r: r"), r)
	if diff := cmp.Diff([]string{"x-s: s", "x-a: r s 503 UO"}, fieldsOf(r)); diff != "" {
		t.Error(diff)
	}
}

// What depends on the endpoint is set anew for each attempt.
func TestChangesOfAttempts(t *testing.T) {
	c, err := header.Compile(header.Request, header.Spec{Set: map[string]string{"x-to": "%UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%"}, Add: map[string]string{"x-b": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	h, r := &hop.Hop{Labels: &hop.Labels{}}, head("x-to: forged")
	c.Apply(r, h, r, nil)
	for _, e := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
		h.Attempt().Endpoint = e
		c.ApplyLate(r, h)
	}
	if diff := cmp.Diff([]string{"x-b: 1", "x-to: 10.0.0.2:80 2"}, fieldsOf(r)); diff != "" {
		t.Error(diff)
	}
}

func TestMistakes(t *testing.T) {
	for value, want := range map[string]string{
		"%":              "after",
		"%CLIENT_IP":     "not closed",
		"%NOSUCH%":       "there is no command operator %NOSUCH% for fields",
		"%DURATION%":     "there is no command operator %DURATION% for fields",
		"%RESP(x-a)%":    "before there is a response",
		"%REQ()%":        "name of a field",
		"%REQ(a b)%":     "name of a field",
		"%REQ(:STATUS)%": "name of a field",
		"%TRACE_ID(x)%":  "takes no argument",
		"a\x00":          "no byte 0x00",
		"a\nb":           "no byte 0x0a",
	} {
		if err := header.Check(header.Request, value, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", value, err, want)
		}
	}
	if err := header.Check(header.Request, "%UPSTREAM_HOST%", true); err == nil || !strings.Contains(err.Error(), "set, not added") {
		t.Error(err)
	}
	if err := header.Check(header.Response, "%UPSTREAM_HOST%", true); err != nil {
		t.Error(err)
	}
	if c, err := header.Compile(header.Request, header.Spec{}); c != nil || err != nil {
		t.Error(c, err)
	}
	for _, side := range []header.Side{header.Request, header.Response} {
		for _, name := range header.Operators(side) {
			value := "%" + name + "%"
			if name == "REQ" || name == "RESP" || name == "ENVIRONMENT" {
				value = "%" + name + "(x)%"
			}
			if err := header.Check(side, value, false); err != nil {
				t.Error(err)
			}
		}
	}
}

// Whatever a value is made of, the field is one that a head can have.
func FuzzValue(f *testing.F) {
	f.Add("%REQ(x-a):3% %CLIENT_IP%", "a\r\nb: c")
	f.Add("%START_TIME(%Y)%%%", " ")
	f.Fuzz(func(t *testing.T, format, came string) {
		c, err := header.Compile(header.Response, header.Spec{Set: map[string]string{"x-b": format}})
		if err != nil || c == nil {
			return
		}
		h := &hop.Hop{Labels: &hop.Labels{Route: came}, Client: came, Peer: came, TLS: &hop.TLS{Peer: came, PeerSubject: came}}
		h.Attempt().Endpoint = came
		r := head()
		r.Add(message.Unknown, "x-a", came)
		c.Apply(r, h, r, r)
		value, there := r.Lookup("x-b")
		if there && (!message.All(value, message.InValue) || strings.Trim(string(value), " \t") != string(value)) {
			t.Errorf("%q of %q is %q", format, came, value)
		}
	})
}
