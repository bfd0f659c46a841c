package grpcweb

import (
	"encoding/base64"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
)

// decode decodes pieces one after the other.
func decode(pieces ...string) (string, error) {
	var d decoder
	var out []byte
	for _, piece := range pieces {
		var err error
		if out, err = d.append(out, []byte(piece)); err != nil {
			return string(out), err
		}
	}
	return string(out), d.end()
}

func TestDecoder(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""}, {"aGVsbG8=", "hello"}, {"aGVsbG8gd29ybGQh", "hello world!"},
		{"aA==ZWw=bG8=", "hello"}, // padded where the sender flushed
		{"////++++", "\xff\xff\xff\xfb\xef\xbe"},
	} {
		for cut := range len(tt.in) + 1 {
			for second := cut; second <= len(tt.in); second++ {
				if got, err := decode(tt.in[:cut], tt.in[cut:second], tt.in[second:]); err != nil || got != tt.want {
					t.Errorf("%q cut at %d and %d: %q, %v; want %q", tt.in, cut, second, got, err, tt.want)
				}
			}
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, in := range []string{"a", "aGVsbG8", "aGVs=", "====", "a===", "=aGV", "aG=s", "aGVs\r\n", "\naGV", "aGV-", "aGV_", "aGVs aGVs"} {
		for cut := range len(in) + 1 {
			_, err := decode(in[:cut], in[cut:])
			if err == nil {
				t.Errorf("%q cut at %d is let through", in, cut)
			} else if k := fault.Of(err).Kind; k != fault.BadRequest {
				t.Errorf("%q: %s", in, k)
			}
		}
	}
}

// What is encoded, flushed at any point, is what is decoded, cut at any point.
func FuzzBase64(f *testing.F) {
	f.Add([]byte("hello world"), uint64(0b10110), uint64(0b1001))
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add([]byte{0x80, 0, 0, 0, 0}, ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, content []byte, cuts, flushes uint64) {
		var e encoder
		var encoded []byte
		from := 0
		for i := range content {
			if cuts>>(i%64)&1 != 0 {
				encoded = e.append(encoded, content[from:i])
				from = i
			}
			if flushes>>(i%64)&1 != 0 {
				encoded = e.flush(encoded)
			}
		}
		encoded = e.flush(e.append(encoded, content[from:]))
		var pieces []string
		from = 0
		for i := range encoded {
			if flushes>>(i%61)&1 != 0 {
				pieces = append(pieces, string(encoded[from:i]))
				from = i
			}
		}
		pieces = append(pieces, string(encoded[from:]))
		if got, err := decode(pieces...); err != nil || got != string(content) {
			t.Errorf("%q became %q, %v, by %q", content, got, err, pieces)
		}
	})
}

// Whatever arrives, in whatever pieces, is taken as the library takes it, or
// refused.
func FuzzDecoder(f *testing.F) {
	f.Add("aGVsbG8=", 3)
	f.Add("aA==aA==", 5)
	f.Add("\r\n\r\n", 1)
	f.Fuzz(func(t *testing.T, in string, cut int) {
		cut = min(max(cut, 0), len(in))
		got, err := decode(in[:cut], in[cut:])
		whole, wholeErr := decode(in)
		if (err == nil) != (wholeErr == nil) || err == nil && got != whole {
			t.Errorf("%q cut at %d: %q, %v; whole: %q, %v", in, cut, got, err, whole, wholeErr)
		}
		if want, libErr := base64.StdEncoding.DecodeString(in); err == nil && libErr == nil && got != string(want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	})
}
