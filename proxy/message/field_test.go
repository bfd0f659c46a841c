package message

import (
	"bytes"
	"strings"
	"testing"
)

func TestFieldByName(t *testing.T) {
	for id := Unknown + 1; id < lastField; id++ {
		name := id.String()
		if name == "" || name != strings.ToLower(name) {
			t.Fatalf("%d has the name %q", id, name)
		}
		for _, spelling := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if got := FieldByName([]byte(spelling)); got != id {
				t.Errorf("%q: got %v", spelling, got)
			}
		}
		for i := range name {
			other := []byte(name)
			other[i] ^= 1
			if got := FieldByName(other); got == id {
				t.Errorf("%q passes for %v", other, id)
			}
		}
		if got := FieldByName([]byte(name + "x")); got == id {
			t.Errorf("%q and a letter passes for it", name)
		}
	}
	for _, name := range []string{"", "x", "host ", "content_length", "content\rlength", "\x00e", strings.Repeat("a", 100)} {
		if got := FieldByName([]byte(name)); got != Unknown {
			t.Errorf("%q: got %v", name, got)
		}
	}
	if Unknown.String() != "" {
		t.Errorf("Unknown is %q", Unknown)
	}
}

// TestFieldsFitSet is what FieldSet and Head rely on.
func TestFieldsFitSet(t *testing.T) {
	if most := 64 * len(FieldSet{}); int(lastField) > most || most != 256 {
		t.Fatalf("%d fields, and room for %d in a FieldSet", lastField, most)
	}
	for id := range 256 {
		one, others := SetOf(FieldID(id)), FieldSet{}
		for other := range 256 {
			if one.Has(FieldID(other)) != (other == id) {
				t.Errorf("the set of %d has %d: %t", id, other, one.Has(FieldID(other)))
			}
			if other != id {
				others.add(FieldID(other))
			}
		}
		if one.meets(&others) || !one.meets(&one) {
			t.Errorf("the set of %d and that of all others", id)
		}
		if one.remove(FieldID(id)); one != (FieldSet{}) {
			t.Errorf("%d was not removed", id)
		}
	}
}

func TestMethodByName(t *testing.T) {
	for m := GET; m <= PATCH; m++ {
		if got := MethodByName([]byte(m.String())); got != m {
			t.Errorf("%v: got %v", m, got)
		}
		if got := MethodByName(bytes.ToLower([]byte(m.String()))); got != MethodOther {
			t.Errorf("%v in lower case: got %v", m, got)
		}
	}
	for _, name := range []string{"", "GE", "GETT", "_OTHER"} {
		if got := MethodByName([]byte(name)); got != MethodOther {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

func TestIdempotent(t *testing.T) {
	want := map[Method]bool{GET: true, HEAD: true, PUT: true, DELETE: true, OPTIONS: true, TRACE: true}
	for m := MethodOther; m <= PATCH; m++ {
		if m.Idempotent() != want[m] {
			t.Errorf("%v: %v", m, m.Idempotent())
		}
	}
}

// TestNearNames changes one byte of each known name: only another case of a letter leaves
// it that name.
func TestNearNames(t *testing.T) {
	for id := Unknown + 1; id < lastField; id++ {
		name := id.String()
		for i := range len(name) {
			for c := range 256 {
				near := []byte(name)
				near[i] = byte(c)
				got := FieldByName(near)
				if same := lower(byte(c)) == name[i]; same && got != id || !same && got == id {
					t.Errorf("%q is %q", near, got)
				} else if got != Unknown && !EqualFold(near, got.String()) {
					t.Errorf("%q is %q", near, got)
				}
			}
		}
	}
}
