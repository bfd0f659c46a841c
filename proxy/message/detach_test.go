package message

import "testing"

// TestDetach: a detached head keeps what it says when the bytes change that it came from.
func TestDetach(t *testing.T) {
	wire := []byte("x-a: one\r\n\r\nthe content")
	var h Head
	h.Begin(wire)
	h.Fields = append(h.Fields, Field{Name: Span{0, 3}, Value: Span{5, 3}})
	h.Add(Unknown, "x-b", "two")
	d := h.Detach()
	copy(wire, "y-y: yyy")
	d.Add(Unknown, "x-c", "three")
	for name, want := range map[string]string{"x-a": "one", "x-b": "two", "x-c": "three"} {
		if got, _ := d.Lookup(name); string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, ok := h.Lookup("x-c"); ok || len(d.Wire()) != 8 {
		t.Errorf("the head it was detached from has its field: %t; it keeps %d bytes", ok, len(d.Wire()))
	}
}
