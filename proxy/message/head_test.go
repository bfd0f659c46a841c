package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decoded is a head as a codec leaves it.
func decoded(lines ...string) *Head {
	h := new(Head)
	wire := strings.Join(lines, "\r\n")
	h.Begin([]byte(wire))
	off := 0
	for _, line := range lines {
		colon := strings.IndexByte(line, ':')
		h.AddDecoded(FieldByName([]byte(line[:colon])),
			Span{uint32(off), uint32(colon)}, Span{uint32(off + colon + 2), uint32(len(line) - colon - 2)})
		off += len(line) + 2
	}
	return h
}

func fields(h *Head) (lines []string) {
	for _, f := range h.Fields {
		if !f.Removed {
			lines = append(lines, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return lines
}

func TestFields(t *testing.T) {
	h := decoded("Host: a", "X-A: 1", "Via: v1", "x-a: 2", "via: v2")
	h.Add(XRequestID, "x-request-id", "r")
	if diff := cmp.Diff([]string{"Host: a", "X-A: 1", "Via: v1", "x-a: 2", "via: v2", "x-request-id: r"}, fields(h)); diff != "" {
		t.Error(diff)
	}
	if v, ok := h.Get(Via); string(v) != "v1" || !ok {
		t.Errorf("Get: %q, %v", v, ok)
	}
	if v, ok := h.Get(XRequestID); string(v) != "r" || !ok {
		t.Errorf("Get of an added field: %q, %v", v, ok)
	}
	if _, ok := h.Get(Server); ok || h.Has(Server) || h.HasAny(SetOf(Server, Date)) {
		t.Error("there is no Server")
	}
	if !h.Has(Via) || !h.HasAny(SetOf(Server, Via)) {
		t.Error("there is Via")
	}
	if v, ok := h.Lookup("x-A"); string(v) != "1" || !ok {
		t.Errorf("Lookup: %q, %v", v, ok)
	}
	if _, ok := h.Lookup("x-b"); ok {
		t.Error("there is no x-b")
	}
	if n := h.Count(Via); n != 2 {
		t.Errorf("%d times Via", n)
	}

	h.Remove(Via)
	h.Remove(Server)
	if _, ok := h.Get(Via); ok || h.Has(Via) || h.Count(Via) != 0 {
		t.Error("Via is still there")
	}
	if _, ok := h.Lookup("via"); ok {
		t.Error("Via is found by name")
	}
	h.RemoveName([]byte("X-a"))
	h.RemoveName([]byte("HOST"))
	if diff := cmp.Diff([]string{"x-request-id: r"}, fields(h)); diff != "" {
		t.Error(diff)
	}
	h.Add(Via, "via", "v3")
	if v, ok := h.Get(Via); string(v) != "v3" || !ok || h.Count(Via) != 1 {
		t.Errorf("Via added again: %q, %v", v, ok)
	}
}

func TestReplace(t *testing.T) {
	h := decoded("Via: v1", "X-A: 1", "via: v2")
	h.Replace(Via, "new")
	h.Replace(Server, "s")
	if diff := cmp.Diff([]string{"Via: new", "X-A: 1", "server: s"}, fields(h)); diff != "" {
		t.Error(diff)
	}
	h.Remove(Via)
	h.Replace(Via, "newer")
	if v, ok := h.Get(Via); string(v) != "newer" || !ok || h.Count(Via) != 1 {
		t.Errorf("got %q, %v", v, ok)
	}
}

// TestRemoveNameIsASCII has a name that only Unicode folds to the other.
func TestRemoveNameIsASCII(t *testing.T) {
	h := decoded("x-\u212a: kelvin", "x-k: k")
	h.RemoveName([]byte("X-K"))
	if diff := cmp.Diff([]string{"x-\u212a: kelvin"}, fields(h)); diff != "" {
		t.Error(diff)
	}
}

func TestStorage(t *testing.T) {
	h := decoded("Host: a")
	first := h.Own("first")
	second := h.OwnBytes([]byte("second"))
	third := h.Keep(append(h.Scratch(), "third"...))
	for range 100 { // the storage grows and moves
		h.Own("more and more")
	}
	empty := h.Own("")
	for want, span := range map[string]Span{"first": first, "second": second, "third": third, "": empty} {
		if got := string(h.Bytes(span)); got != want || !span.Added() {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if h.Fields[0].Value.Added() {
		t.Error("what was received counts as added")
	}
	h.EndField(Forwarded, append(h.BeginField("forwarded"), h.Bytes(third)...))
	if v, _ := h.Get(Forwarded); string(v) != "third" {
		t.Errorf("got %q", v)
	}

	moved := []byte("Host: b")
	h.Rebase(moved)
	if v, _ := h.Get(Host); string(v) != "b" {
		t.Errorf("after Rebase: %q", v)
	}
	if v, _ := h.Get(Forwarded); string(v) != "third" {
		t.Errorf("after Rebase: %q", v)
	}
	if string(h.Wire()) != "Host: b" {
		t.Errorf("wire %q", h.Wire())
	}
}

func TestReset(t *testing.T) {
	h := decoded("Host: a", "Via: b")
	h.Add(Server, "server", "x")
	h.Close, h.Upgrade, h.Expect, h.Status, h.Length, h.Method, h.Framing, h.Form = true, true, true, 200, 5, GET, Chunked, Absolute
	h.SetReason(Span{0, 4})
	h.SetRequestLine(Span{0, 1}, Span{0, 2}, Span{0, 3}, Span{0, 4}, Span{0, 5}, Span{0, 6})
	room := cap(h.Fields)
	h.Reset()
	if h.Has(Host) || h.Has(Server) || len(h.Fields) != 0 || len(h.Scratch()) != 0 || h.Wire() != nil {
		t.Errorf("there are fields left: %v", fields(h))
	}
	if cap(h.Fields) != room || cap(h.Scratch()) == 0 {
		t.Error("the storage was dropped")
	}
	h.Fields, h.extra = nil, nil
	if diff := cmp.Diff(Head{}, *h, cmp.AllowUnexported(Head{})); diff != "" {
		t.Errorf("left over:\n%s", diff)
	}
}

func TestRequestLine(t *testing.T) {
	var h Head
	h.Begin([]byte("GET http://h:1/p?q HTTP/1.1\r\nHost: x\r\n"))
	h.SetRequestLine(Span{0, 3}, Span{4, 14}, Span{4, 4}, Span{11, 3}, Span{14, 2}, Span{17, 1})
	h.AddDecoded(Host, Span{29, 4}, Span{35, 1})
	got := []string{string(h.MethodText()), string(h.Target()), string(h.Scheme()), string(h.Authority()), string(h.Path()), string(h.Query()), string(h.Host())}
	h.SetReason(Span{4, 4})
	if string(h.Reason()) != "http" {
		t.Errorf("reason %q", h.Reason())
	}
	if diff := cmp.Diff([]string{"GET", "http://h:1/p?q", "http", "h:1", "/p", "q", "h:1"}, got); diff != "" {
		t.Error(diff)
	}
	h.SetRequestLine(Span{0, 3}, Span{14, 4}, Span{}, Span{}, Span{14, 2}, Span{17, 1})
	if string(h.Host()) != "x" {
		t.Errorf("Host of origin-form: %q", h.Host())
	}
	h.Remove(Host)
	if h.Host() != nil {
		t.Errorf("no Host: %q", h.Host())
	}
}

func TestHasBody(t *testing.T) {
	for _, test := range []struct {
		framing Framing
		length  int64
		want    bool
	}{
		{NoBody, 0, false}, {NoBody, 5, false}, {ByLength, 0, false}, {ByLength, 1, true},
		{Chunked, -1, true}, {UntilClose, -1, true}, {Tunnel, -1, false},
	} {
		h := Head{Framing: test.framing, Length: test.length}
		if h.HasBody() != test.want {
			t.Errorf("%+v", test)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	h := decoded("Host: a", "X-A: 1", "Via: v")
	wire := h.Wire()
	if n := testing.AllocsPerRun(100, func() {
		h.Begin(wire)
		h.AddDecoded(Host, Span{0, 4}, Span{6, 1})
		h.AddDecoded(Unknown, Span{9, 3}, Span{14, 1})
		h.Add(Traceparent, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		h.RemoveName(wire[9:12])
		h.Remove(Host)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSetPath gives targets of each form another path.
func TestSetPath(t *testing.T) {
	for _, tt := range []struct {
		form                               Form
		target, scheme, authority, path, q string
		to, want, wantQuery                string
	}{
		{Origin, "/a/b?x=1", "", "", "/a/b", "x=1", "/c", "/c?x=1", "x=1"},
		{Origin, "/a", "", "", "/a", "", "/longer/than/before", "/longer/than/before", ""},
		{Origin, "/a?", "", "", "/a", "", "/", "/?", ""},
		{Absolute, "http://h:1/a?x?y", "http", "h:1", "/a", "x?y", "/b", "http://h:1/b?x?y", "x?y"},
		{Absolute, "http://h", "http", "h", "/", "", "/b", "http://h/b", ""},
	} {
		var h Head
		h.Form = tt.form
		target := h.Own(tt.target)
		h.SetRequestLine(h.Own("GET"), target, h.Own(tt.scheme), h.Own(tt.authority), h.Own(tt.path), h.Own(tt.q))
		h.SetPath([]byte(tt.to))
		if string(h.Target()) != tt.want || string(h.Path()) != tt.to || string(h.Query()) != tt.wantQuery {
			t.Errorf("%s to %s: target %q, path %q, query %q", tt.target, tt.to, h.Target(), h.Path(), h.Query())
		}
	}
}

// A clone is changed apart from the head that it was made of.
func TestClone(t *testing.T) {
	var h Head
	h.Add(Host, "host", "a")
	h.Add(Unknown, "x-one", "1")
	c := h.Clone()
	c.Replace(Host, "b")
	c.Add(Unknown, "x-two", "2")
	h.Remove(Host)
	h.Add(Unknown, "x-three", "three")
	for name, want := range map[string]string{"host": "b", "x-one": "1", "x-two": "2", "x-three": ""} {
		if got, _ := c.Lookup(name); string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := h.Lookup("x-two"); ok {
		t.Error("what was added to the clone is in the head")
	}
}
