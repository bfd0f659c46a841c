package tracecontext

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manyMembers makes one line of n members of the given size.
func manyMembers(n, size int) [][]byte {
	var members []string
	for i := range n {
		key := fmt.Sprintf("k%03d=", i)
		members = append(members, key+strings.Repeat("v", size-len(key)))
	}
	return [][]byte{[]byte(strings.Join(members, ","))}
}

func TestAppendTracestate(t *testing.T) {
	long := func(key string, n int) string { return key + "=" + strings.Repeat("v", n-len(key)-1) }
	first := func(n, size int) string {
		return strings.Join(strings.Split(string(manyMembers(n, size)[0]), ",")[:n], ",")
	}
	cases := []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{"a=1"}, "a=1"},
		{"untouched, whitespace and all", []string{" a=1 ,\tb=2,,"}, " a=1 ,\tb=2,,"},
		{"lines are one list", []string{"a=1,b=2", "c=3"}, "a=1,b=2,c=3"},
		{"only empty members", []string{" , ", ""}, ""},
		{"tenant and digits in keys", []string{"1a-_*/@sys=x y~"}, "1a-_*/@sys=x y~"},
		{"keys with an @ anywhere but in front", []string{"foo@=1,foo@@bar=2"}, "foo@=1,foo@@bar=2"},
		{"a key that comes twice", []string{"a=1,a=2"}, "a=1,a=2"},
		{"a value that begins with a space", []string{"a= 1"}, "a= 1"},
		{"key of 256", []string{strings.Repeat("k", 256) + "=1"}, strings.Repeat("k", 256) + "=1"},
		{"value of 256", []string{"k=" + strings.Repeat("v", 256)}, "k=" + strings.Repeat("v", 256)},
		{"32 members", []string{string(manyMembers(32, 8)[0])}, string(manyMembers(32, 8)[0])},
		{"32 members over three lines, and empty ones", []string{first(16, 8), "", ",,", first(16, 8)}, first(16, 8) + ",,,,," + first(16, 8)},

		{"dropped: two equals signs", []string{"foo=bar=baz"}, ""},
		{"dropped: an empty value", []string{"foo=,bar=3"}, ""},
		{"dropped: a value of whitespace", []string{"foo= \t,bar=3"}, ""},
		{"dropped: no key", []string{"=4,bar=3"}, ""},
		{"dropped: no equals sign", []string{"a=1,b"}, ""},
		{"dropped: an @ in front", []string{"@foo=1,bar=2"}, ""},
		{"dropped: a capital in a key", []string{"a=1,Foo=5"}, ""},
		{"dropped: a space behind a key", []string{"a=1,foo =8"}, ""},
		{"dropped: a dot in a key", []string{"foo.bar=1,a=1"}, ""},
		{"dropped: a control character in a value", []string{"a=1,b=\x01"}, ""},
		{"dropped: a tab within a value", []string{"a=1,b=x\ty"}, ""},
		{"dropped: a value that is no ASCII", []string{"a=1,c=\xc3\xa4"}, ""},
		{"dropped: key of 257", []string{strings.Repeat("k", 257) + "=1,a=1"}, ""},
		{"dropped: value of 257", []string{"k=" + strings.Repeat("v", 257) + ",a=1"}, ""},
		{"dropped: 33 members", []string{string(manyMembers(33, 8)[0])}, ""},
		{"dropped: 33 members over two lines", []string{first(16, 8), first(17, 8)}, ""},
		{"dropped: a good line beside a malformed one", []string{"a=1,b=2", "foo=bar=baz"}, ""},
		{"dropped: long, and malformed in what would not fit", []string{first(6, 100) + ",foo=bar=baz"}, ""},

		{"512 bytes", []string{first(3, 127) + "," + long("z", 128)}, first(3, 127) + "," + long("z", 128)},
		{"513 bytes: the right one goes", []string{first(3, 127) + "," + long("z", 128), ""}, first(3, 127) + "," + long("z", 128)},
		{"over 512 bytes: from the right", []string{first(6, 100)}, first(5, 100)},
		{"over 512 bytes: the long one first", []string{"a=1," + long("l", 200) + "," + first(4, 100)}, "a=1," + first(4, 100)},
		{"of two long ones the right one is enough", []string{long("l", 200) + ",a=1," + long("m", 250) + "," + first(1, 100)},
			long("l", 200) + ",a=1," + first(1, 100)},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var lines [][]byte
			for _, l := range tc.lines {
				lines = append(lines, []byte(l))
			}
			if got := string(AppendTracestate([]byte("x:"), lines)); got != "x:"+tc.want {
				t.Errorf("got  %q\nwant %q", got, "x:"+tc.want)
			}
		})
	}
}

// wellFormed is the grammar of the standard, written down once more: one member,
// and the list of them.
var wellFormed = regexp.MustCompile(`^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$`)

func FuzzTracestate(f *testing.F) {
	f.Add([]byte("a=1,b=2"), []byte("c=3"))
	f.Add([]byte("foo@=1, foo@@bar=2 "), []byte("a=b=c"))
	f.Add(manyMembers(40, 12)[0], manyMembers(200, 6)[0])
	f.Add(manyMembers(16, 8)[0], manyMembers(16, 40)[0])
	f.Add(manyMembers(9, 140)[0], []byte(" ,\t,=,a=,=b"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got := string(AppendTracestate(nil, [][]byte{a, b}))
		all := string(a) + "," + string(b)
		var members []string
		good := true
		for m := range strings.SplitSeq(all, ",") {
			if m = strings.Trim(m, " \t"); m != "" {
				members = append(members, m)
				good = good && wellFormed.MatchString(m)
			}
		}
		switch good = good && len(members) <= MaxTracestateMembers; {
		case !good || len(members) == 0:
			if got != "" {
				t.Fatalf("%q went on as %q", all, got)
			}
			return
		case len(all) <= MaxTracestateBytes:
			if got != all {
				t.Fatalf("%q became %q", all, got)
			}
			return
		}
		if len(got) > MaxTracestateBytes {
			t.Fatalf("%d bytes", len(got))
		}
		kept := 0
		for m := range strings.SplitSeq(got, ",") {
			if i := slices.Index(members[kept:], m); i >= 0 {
				kept += i + 1
			} else if got != "" {
				t.Fatalf("%q of %q is not of %q, or out of order", m, got, all)
			}
		}
		if again := string(AppendTracestate(nil, [][]byte{[]byte(got)})); again != got {
			t.Fatalf("%q, passed on again, became %q", got, again)
		}
	})
}
