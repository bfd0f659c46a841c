package evidence

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unhex reads bytes in hexadecimal, with spaces.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Of a machine with little-endian numbers.
const (
	question = `48000000 1400 0103 01000000 00000000 02060000 00040000
		0bb8 0000 00000000000000000000000000000000 00000000000000000000000000000000 00000000 ffffffff ffffffff`
	listener = `60000000 1400 0200 01000000 00000000 0a0a0000
		0bb8 0000 00000000000000000000000000000000 00000000000000000000000000000000 00000000 0100000000000000
		00000000 02000000 80000000 00000000 39300000 05000b0001000000`
	established = `58000000 1400 0000 01000000 00000000 02010000
		0bb8 d431 7f000001000000000000000000000000 7f000001000000000000000000000000 00000000 0200000000000000
		00000000 76000000 00000000 00000000 00000000`
	cutOff  = `60000000 1400 0200 01000000 00000000 0a0a0000 0bb8`
	done    = `14000000 0300 0200 01000000 00000000 00000000`
	missing = `24000000 0200 0000 01000000 00000000 feffffff 48000000140001010100000000000000`
)

func littleEndian(t testing.TB) {
	if runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" {
		t.Skip("the bytes are those of another machine")
	}
}

func TestQuestion(t *testing.T) {
	littleEndian(t)
	got := appendListeners(nil, netip.MustParseAddrPort("127.0.0.1:3000"))
	if want := unhex(t, question); string(got) != string(want) {
		t.Errorf("%x, want\n%x", got, want)
	}
}

func TestDecode(t *testing.T) {
	littleEndian(t)
	three := netip.MustParseAddrPort("127.0.0.1:3000")
	there := socket{state: stateListen, local: netip.MustParseAddrPort("[::]:3000"), remote: netip.MustParseAddrPort("[::]:0"), receive: 2, send: 128, inode: 12345, v6Only: true}
	peer := socket{state: stateEstablished, local: three, remote: netip.MustParseAddrPort("127.0.0.1:54321"), receive: 118}
	for _, c := range []struct {
		name, bytes string
		want        []socket
		done        bool
		err         error
	}{
		{"a dump", listener + listener + done, []socket{there, there}, true, nil},
		{"the first part of a dump", listener, []socket{there}, false, nil},
		{"the one socket", established, []socket{peer}, true, nil},
		{"no such socket", missing, nil, true, syscall.ENOENT},
		{"nothing", "", nil, false, nil},
		{"another message", `10000000 0100 0000 01000000 00000000` + done, nil, true, nil},
		{"cut off", cutOff, nil, true, errTruncated},
		{"no size", `00000000 1400 0000 01000000 00000000`, nil, true, errTruncated},
		{"a short socket", `14000000 1400 0000 01000000 00000000 00000000`, nil, true, errTruncated},
		{"a short end", `10000000 0300 0000 01000000 00000000`, nil, true, errTruncated},
	} {
		var got []socket
		done, err := decode(unhex(t, c.bytes), func(s socket) { got = append(got, s) })
		if done != c.done || !errors.Is(err, c.err) || len(got) != len(c.want) {
			t.Errorf("%s: %v, %t, %v", c.name, got, done, err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %+v, want %+v", c.name, got[i], c.want[i])
			}
		}
	}
}

func TestTakes(t *testing.T) {
	for _, c := range []struct {
		at, to       string
		v6Only, want bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", false, true},
		{"127.0.0.1:80", "127.0.0.1:81", false, false},
		{"127.0.0.1:80", "127.0.0.2:80", false, false},
		{"0.0.0.0:80", "127.0.0.2:80", false, true},
		{"0.0.0.0:80", "[::1]:80", false, false},
		{"[::]:80", "[::1]:80", true, true},
		{"[::]:80", "127.0.0.1:80", false, true},
		{"[::]:80", "127.0.0.1:80", true, false},
	} {
		s := socket{state: stateListen, local: netip.MustParseAddrPort(c.at), v6Only: c.v6Only}
		if got := s.takes(netip.MustParseAddrPort(c.to)); got != c.want {
			t.Errorf("%s takes %s: %t", c.at, c.to, got)
		}
		if s.state = stateEstablished; s.takes(s.local) {
			t.Error("a connection takes connections")
		}
	}
}

func TestRecent(t *testing.T) {
	var r recent
	at, now := netip.MustParseAddrPort("127.0.0.1:80"), time.Now()
	if _, ok := r.get(at, now); ok {
		t.Error("an answer that there was not")
	}
	r.put(at, listeners{sockets: 1}, now)
	if l, ok := r.get(at, now.Add(momentary-1)); !ok || l.sockets != 1 {
		t.Error(l, ok)
	}
	if _, ok := r.get(at, now.Add(momentary)); ok {
		t.Error("an old answer")
	}
	for port := range uint16(3 * mostRecent) {
		r.put(netip.AddrPortFrom(at.Addr(), port), listeners{}, now)
	}
	if len(r.answers) > mostRecent {
		t.Errorf("%d answers are kept", len(r.answers))
	}
}

// FuzzDecode: any bytes are decoded without a panic, and no socket is made of fewer bytes
// than one has.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{listener + done, established, missing, cutOff} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		decode(b, func(s socket) {
			n++
			s.takes(s.local)
		})
		if n*(headerSize+answerSize) > len(b) {
			t.Errorf("%d sockets in %d bytes", n, len(b))
		}
	})
}
