package tracecontext

import (
	"fmt"
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
		{"malformed members go", []string{"a=1,b,c=3,=4,d=", "E=5,f=6=7,g =8, h=9"}, "a=1,c=3,h=9"},
		{"control bytes go", []string{"a=1,b=\x01,c=\xc3\xa4"}, "a=1"},
		{"key of 256", []string{strings.Repeat("k", 256) + "=1"}, strings.Repeat("k", 256) + "=1"},
		{"key of 257", []string{strings.Repeat("k", 257) + "=1,a=1"}, "a=1"},
		{"value of 256", []string{"k=" + strings.Repeat("v", 256)}, "k=" + strings.Repeat("v", 256)},
		{"value of 257", []string{"k=" + strings.Repeat("v", 257) + ",a=1"}, "a=1"},
		{"32 members", []string{string(manyMembers(32, 8)[0])}, string(manyMembers(32, 8)[0])},
		{"33 members: the right one goes", []string{string(manyMembers(33, 8)[0])}, first(32, 8)},
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

func FuzzTracestate(f *testing.F) {
	f.Add([]byte("a=1,b=2"), []byte("c=3"))
	f.Add(manyMembers(40, 12)[0], manyMembers(200, 6)[0])
	f.Add(manyMembers(9, 140)[0], []byte(" ,\t,=,a=,=b"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got := AppendTracestate(nil, [][]byte{a, b})
		if len(got) > MaxTracestateBytes {
			t.Fatalf("%d bytes", len(got))
		}
		members := 0
		for rest := got; len(rest) > 0; {
			var m []byte
			if m, rest = nextMember(rest); len(m) == 0 {
				continue
			}
			if members++; !memberOK(m) {
				t.Fatalf("member %q of %q is malformed", m, got)
			}
		}
		if members > MaxTracestateMembers {
			t.Fatalf("%d members", members)
		}
		if again := AppendTracestate(nil, [][]byte{got}); string(again) != string(got) {
			t.Fatalf("%q, passed on again, became %q", got, again)
		}
	})
}
