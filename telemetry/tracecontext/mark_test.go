package tracecontext

import (
	"strings"
	"testing"
)

func TestMark(t *testing.T) {
	m, other := NewMark("shop"), NewMark("bank")
	if m == other || m != NewMark("shop") || !memberOK([]byte(NewMark("any, name=at all"))) {
		t.Fatalf("%s, %s", m, other)
	}
	own := string(m)
	long := strings.Repeat("a=1,", MaxTracestateMembers-1) + "z=1"
	for _, tt := range []struct {
		name   string
		lines  []string
		marked bool
		rest   string
		sent   string // "" for the mark and the rest
	}{
		{name: "nothing"},
		{name: "the mark alone", lines: []string{own}, marked: true},
		{name: "the first", lines: []string{own + ",a=1,b=2"}, marked: true, rest: "a=1,b=2"},
		{name: "in the middle", lines: []string{"a=1", own + " ,b=2"}, marked: true, rest: "a=1,b=2"},
		{name: "the last", lines: []string{"a=1 , " + own}, marked: true, rest: "a=1"},
		{name: "of another mesh", lines: []string{string(other) + ",a=1"}, rest: "a=1"},
		{name: "of both", lines: []string{string(other) + "," + own}, marked: true},
		{name: "none", lines: []string{"a=1,b=2"}, rest: "a=1,b=2"},
		{name: "one that looks alike", lines: []string{"my" + own}, rest: "my" + own},
		{name: "malformed", lines: []string{own + ",a"}},
		{name: "as many members as there may be", lines: []string{long}, rest: long, sent: own + "," + strings.TrimSuffix(long, ",z=1")},
		{
			name: "as long as it may be", lines: []string{"a=" + strings.Repeat("1", 250) + ",b=" + strings.Repeat("1", 250)},
			rest: "a=" + strings.Repeat("1", 250) + ",b=" + strings.Repeat("1", 250), sent: own + ",a=" + strings.Repeat("1", 250),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines [][]byte
			for _, l := range tt.lines {
				lines = append(lines, []byte(l))
			}
			rest, marked := m.Cut([]byte("before "), lines)
			if string(rest) != "before "+tt.rest || marked != tt.marked {
				t.Errorf("%q, %t; want %q, %t", rest, marked, tt.rest, tt.marked)
			}
			want := tt.sent
			if want == "" {
				want = strings.TrimSuffix(own+","+tt.rest, ",")
			}
			sent := m.Append(nil, rest[len("before "):])
			if string(sent) != want || len(sent) > MaxTracestateBytes {
				t.Errorf("sent %q, want %q", sent, want)
			}
			again, marked := m.Cut(nil, [][]byte{sent})
			if !marked || strings.Contains(string(again), markKey+own) {
				t.Errorf("the next proxy reads %q, %t", again, marked)
			}
		})
	}
}

// TestNoMark: without one the list goes on as it came.
func TestNoMark(t *testing.T) {
	line := string(NewMark("bank")) + ",a=1"
	rest, marked := Mark("").Cut(nil, [][]byte{[]byte(line)})
	if sent := Mark("").Append(nil, rest); string(sent) != line || marked {
		t.Errorf("%q, %t", sent, marked)
	}
}

func TestMarkAllocatesNothing(t *testing.T) {
	m, buf := NewMark("shop"), make([]byte, 0, 256)
	alone, among := [][]byte{[]byte(m)}, [][]byte{[]byte("a=1," + string(m))}
	if n := testing.AllocsPerRun(100, func() {
		buf, _ = m.Cut(buf[:0], alone)
		buf, _ = m.Cut(buf[:0], among)
		buf = m.Append(buf, buf)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMark(f *testing.F) {
	m := NewMark("shop")
	f.Add(string(m)+",a=1", "b=2")
	f.Add("a=1,,"+string(m), "hopscope=1")
	f.Fuzz(func(t *testing.T, one, two string) {
		rest, _ := m.Cut(nil, [][]byte{[]byte(one), []byte(two)})
		sent := m.Append(nil, rest)
		if len(sent) > MaxTracestateBytes || !strings.HasPrefix(string(sent), string(m)) {
			t.Fatalf("sent %q", sent)
		}
		again, marked := m.Cut(nil, [][]byte{sent})
		if !marked || len(again) > len(rest) || strings.Contains(","+string(again), ","+markKey) {
			t.Fatalf("%q, sent as %q, is read as %q, %t", rest, sent, again, marked)
		}
	})
}

func BenchmarkMark(b *testing.B) {
	m, buf := NewMark("shop"), make([]byte, 0, 256)
	alone := [][]byte{[]byte(m)}
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = m.Cut(buf[:0], alone)
		buf = m.Append(buf, nil)
	}
}
