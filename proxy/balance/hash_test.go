package balance

import (
	"math/bits"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func TestHash(t *testing.T) {
	for _, tt := range []struct { // of the reference implementation's own tests and of Envoy's
		in   string
		want uint64
	}{
		{"", 0xef46db3751d8e999},
		{"a", 0xd24ec4f1a98c6e5b},
		{"as", 0x1c330fb2d66be179},
		{"asd", 0x631c37ce72a97393},
		{"asdf", 0x415872f599cea71e},
		{"foo", 3728699739546630719},
		{"bar", 5234164152756840025},
		{"Call me Ishmael. Some years ago--never mind how long precisely-", 0x02a2e85470d6fd96},
	} {
		if got := HashString(tt.in); got != tt.want {
			t.Errorf("HashString(%q) = %#x, want %#x", tt.in, got, tt.want)
		}
		if got := Hash([]byte(tt.in)); got != tt.want {
			t.Errorf("Hash(%q) = %#x, want %#x", tt.in, got, tt.want)
		}
	}
}

func TestHashOfEveryLength(t *testing.T) {
	text := strings.Repeat("The quick brown fox \xff\x80\x00", 10)
	for n := range len(text) {
		if got, want := HashString(text[:n]), xxhash.Sum64String(text[:n]); got != want {
			t.Fatalf("hash of %d bytes is %#x, want %#x", n, got, want)
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add([]byte("10.0.0.1:8080_17"), uint64(0))
	f.Add([]byte(strings.Repeat("\xff", 77)), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		d := xxhash.NewWithSeed(seed)
		d.Write(b)
		if got := xxh64(b, seed); got != d.Sum64() {
			t.Errorf("xxh64(%q, %d) = %#x, want %#x", b, seed, got, d.Sum64())
		}
		if Hash(b) != HashString(string(b)) {
			t.Error("Hash and HashString differ")
		}
	})
}

func TestCombine(t *testing.T) {
	a, b := HashString("a"), HashString("b")
	if got := Combine(0, a); got != a {
		t.Errorf("one part gives %#x, want its own hash %#x", got, a)
	}
	if got, want := Combine(Combine(0, a), b), bits.RotateLeft64(a, 1)^b; got != want {
		t.Errorf("two parts give %#x, want %#x", got, want)
	}
	if Combine(Combine(0, a), b) == Combine(Combine(0, b), a) {
		t.Error("the order of the parts does not matter")
	}
	if Combine(Combine(0, a), a) == 0 {
		t.Error("equal parts cancel each other")
	}
}
