package http1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// decodeBody feeds pieces of at most size bytes until the body is over, an
// error comes or wire is at its end.
func decodeBody(b *BodyDecoder, wire string, size int) (content string, used int, done bool, err error) {
	var pending []byte
	for from := 0; ; {
		data, n, done, err := b.Decode(pending)
		if err != nil {
			return "", 0, false, err
		}
		content += string(data)
		used += n
		pending = pending[n:]
		if done {
			return content, used, true, nil
		}
		if n > 0 {
			continue
		}
		if from == len(wire) {
			return content, used, false, nil
		}
		to := min(from+size, len(wire))
		pending = append(append([]byte(nil), pending...), wire[from:to]...)
		from = to
	}
}

// feedBody decodes a body at once, byte by byte and in pieces, which must come
// to the same.
func feedBody(t *testing.T, upstream bool, framing message.Framing, length int64, limits Limits, wire string) (content string, used int, done bool, trailers *message.Head, err error) {
	t.Helper()
	type result struct {
		Content  string
		Used     int
		Done     bool
		Kind     fault.Kind
		End      fault.Kind
		Trailers []string
	}
	var first result
	for _, size := range []int{len(wire) + 1, 1, 2, 3, 7} {
		b := BodyDecoder{Upstream: upstream}
		b.Begin(framing, length, limits)
		var got result
		var e error
		got.Content, got.Used, got.Done, e = decodeBody(&b, wire, size)
		if got.Kind = kindOf(t, e); e == nil {
			got.End = kindOf(t, b.End())
		}
		if h := b.Trailers(); h != nil {
			got.Trailers = liveFields(h)
		}
		if size > len(wire) {
			first, trailers, err = got, b.Trailers(), e
		} else if diff := cmp.Diff(first, got); diff != "" {
			t.Fatalf("in pieces of %d bytes:\n%s", size, diff)
		}
	}
	return first.Content, first.Used, first.Done, trailers, err
}

func TestBodyAccepted(t *testing.T) {
	for _, test := range []struct {
		name     string
		framing  message.Framing
		length   int64
		wire     string
		content  string
		trailers []string
	}{
		{"none", message.NoBody, 0, "", "", nil},
		{"length", message.ByLength, 5, "hello", "hello", nil},
		{"length of 0", message.ByLength, 0, "", "", nil},
		{"no chunk", message.Chunked, -1, "0\r\n\r\n", "", nil},
		{"one chunk", message.Chunked, -1, "5\r\nhello\r\n0\r\n\r\n", "hello", nil},
		{"chunks", message.Chunked, -1, "1\r\nh\r\n4\r\nello\r\n00\r\n\r\n", "hello", nil},
		{"both cases", message.Chunked, -1, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", nil},
		{"leading zeros", message.Chunked, -1, "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", nil},
		{"line ends as content", message.Chunked, -1, "5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n", nil},
		{"extensions", message.Chunked, -1, "5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n", "hello", nil},
		{"space before an extension", message.Chunked, -1, "5 \t;a\r\nhello\r\n0\r\n\r\n", "hello", nil},
		{"trailers", message.Chunked, -1, "5\r\nhello\r\n0\r\nX-a: 1\r\nx-b:2\r\n\r\n", "hello", []string{"X-a: 1", "x-b: 2"}},
		{"forbidden trailers", message.Chunked, -1, "0\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\nHost: a\r\nAuthorization: x\r\nX-Sum: 1\r\nConnection: x\r\nContent-Type: a/b\r\nContent-Range: 1\r\nContent-Digest: d\r\nif-match: *\r\nX-Forwarded-Port: 1\r\nSet-Cookie: a\r\nServer-Timing: a\r\n\r\n", "",
			[]string{"X-Sum: 1", "Content-Digest: d", "Server-Timing: a"}},
		{"nothing but forbidden trailers", message.Chunked, -1, "0\r\nTE: a\r\nCookie: a\r\n\r\n", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			content, used, done, trailers, err := feedBody(t, false, test.framing, test.length, Limits{}, test.wire+"GET /")
			if err != nil || !done {
				t.Fatal(done, err)
			}
			if used != len(test.wire) {
				t.Errorf("the body has %d bytes, got %d", len(test.wire), used)
			}
			if content != test.content {
				t.Errorf("content %q", content)
			}
			var got []string
			if trailers != nil {
				got = liveFields(trailers)
			}
			if diff := cmp.Diff(test.trailers, got); diff != "" {
				t.Errorf("trailers, -want +got:\n%s", diff)
			}
		})
	}
}

func TestBodyUntilClose(t *testing.T) {
	for _, framing := range []message.Framing{message.UntilClose, message.Tunnel} {
		content, used, done, _, err := feedBody(t, true, framing, -1, Limits{}, "all of it")
		if content != "all of it" || used != 9 || done || err != nil {
			t.Error(content, used, done, err)
		}
	}
}

func TestBodyRefused(t *testing.T) {
	limits := Limits{HeadBytes: 40, Fields: 2}
	for _, test := range []struct {
		name, wire string
		kind       fault.Kind
		reason     string
	}{
		{"empty size", "\r\nhello", fault.BadFraming, "does not begin with"},
		{"extension without size", ";a\r\n", fault.BadFraming, "does not begin with"},
		{"plus", "+5\r\nhello", fault.BadFraming, "does not begin with"},
		{"minus", "-5\r\nhello", fault.BadFraming, "does not begin with"},
		{"0x", "0x5\r\nhello", fault.BadFraming, "no hexadecimal digit"},
		{"underscore", "1_0\r\n", fault.BadFraming, "no hexadecimal digit"},
		{"leading space", " 5\r\nhello", fault.BadFraming, "does not begin with"},
		{"trailing space", "5 \r\nhello", fault.BadFraming, "neither an extension nor CRLF"},
		{"space in the size", "5 5\r\nhello", fault.BadFraming, "neither an extension nor CRLF"},
		{"comma", "5,5\r\nhello", fault.BadFraming, "no hexadecimal digit"},
		{"NUL", "5\x00\r\nhello", fault.BadFraming, "no hexadecimal digit"},
		{"2^63", "8000000000000000\r\n", fault.BadFraming, "more than 7fffffffffffffff"},
		{"17 digits", "00000000000000005\r\nhello", fault.BadFraming, "16 digits"},
		{"bare LF after the size", "5\nhello\r\n0\r\n\r\n", fault.BadFraming, "bare LF"},
		{"bare CR after the size", "5\rhello\r\n", fault.BadFraming, "bare CR"},
		{"two CRs after the size", "5\r\r\nhello\r\n", fault.BadFraming, "bare CR"},
		{"bare LF in an extension", "5;a\nb\r\nhello\r\n", fault.BadFraming, "bare LF in a chunk extension"},
		{"bare CR in an extension", "5;a\rb\r\nhello\r\n", fault.BadFraming, "bare CR"},
		{"NUL in an extension", "5;a\x00\r\nhello\r\n", fault.BadFraming, "NUL in a chunk extension"},
		{"no line end after the content", "5\r\nhelloo\r\n0\r\n\r\n", fault.BadFraming, "no CRLF after"},
		{"bare LF after the content", "5\r\nhello\n0\r\n\r\n", fault.BadFraming, "no CRLF after"},
		{"bare CR after the content", "5\r\nhello\r0\r\n\r\n", fault.BadFraming, "no CRLF after"},
		{"bare LF after the last chunk", "0\n\r\n", fault.BadFraming, "bare LF"},
		{"long extension", "1;" + strings.Repeat("a", 17<<10), fault.BadFraming, "too many bytes of chunk extensions"},
		{"long space", "1" + strings.Repeat(" ", 17<<10), fault.BadFraming, "too many bytes of chunk extensions"},
		{"many extensions", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 17), fault.BadFraming, "too many bytes of chunk extensions"},

		{"bare LF for the end", "0\r\n\n", fault.BadHeader, "trailer field 1: the line ends in a bare LF"},
		{"trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", fault.BadHeader, "trailer field 1: space before the colon"},
		{"fold in a trailer", "0\r\nA: 1\r\n b\r\n\r\n", fault.BadHeader, "trailer field 2: folded"},
		{"NUL in a trailer", "0\r\nA: secret\x00\r\n\r\n", fault.BadHeader, "trailer field 1: NUL"},
		{"too many trailers", "0\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n", fault.HeaderTooLarge, "the trailer section has more than 2 fields"},
		{"too long trailers", "0\r\nA: " + strings.Repeat("a", 40) + "\r\n\r\n", fault.HeaderTooLarge, "the trailer section is longer than 40 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, _, trailers, err := feedBody(t, false, message.Chunked, -1, limits, test.wire)
			if trailers != nil {
				t.Error("there are trailers")
			}
			e := fault.Of(err)
			if e == nil || e.Kind != test.kind || !strings.Contains(e.Reason, test.reason) {
				t.Fatalf("got %v, want %v %q", err, test.kind, test.reason)
			}
			if strings.Contains(e.Reason, "secret") {
				t.Errorf("the reason tells what a field holds: %q", e.Reason)
			}
			_, _, _, _, err = feedBody(t, true, message.Chunked, -1, limits, test.wire)
			want := fault.UpstreamProtocol
			if test.kind == fault.HeaderTooLarge {
				want = fault.UpstreamHeader
			}
			if kindOf(t, err) != want {
				t.Errorf("of a response: got %v, want %v", kindOf(t, err), want)
			}
		})
	}
}

// TestBodyTruncated cuts bodies at each byte.
func TestBodyTruncated(t *testing.T) {
	for _, test := range []struct {
		framing message.Framing
		wire    string
	}{
		{message.ByLength, "hello"},
		{message.Chunked, "5;a\r\nhello\r\n0\r\nX: y\r\n\r\n"},
	} {
		for cut := range len(test.wire) {
			for _, upstream := range []bool{false, true} {
				b := BodyDecoder{Upstream: upstream}
				b.Begin(test.framing, 5, Limits{})
				if _, _, done, err := decodeBody(&b, test.wire[:cut], 100); done || err != nil {
					t.Fatalf("%q: %v, %v", test.wire[:cut], done, err)
				}
				want := fault.ClientClosed
				if upstream {
					want = fault.UpstreamClosed
				}
				if got := kindOf(t, b.End()); got != want {
					t.Errorf("%q: got %v, want %v", test.wire[:cut], got, want)
				}
			}
		}
	}
}

// TestManyExtensions sends short extensions with enough content.
func TestManyExtensions(t *testing.T) {
	wire := strings.Repeat("20;ext=0123456789\r\n"+strings.Repeat("x", 32)+"\r\n", 5000) + "0\r\n\r\n"
	var b BodyDecoder
	b.Begin(message.Chunked, -1, Limits{})
	content, used, done, err := decodeBody(&b, wire, 4096)
	if len(content) != 32*5000 || used != len(wire) || !done || err != nil {
		t.Error(len(content), used, done, err)
	}
}

// TestBodyReused has one decoder for several bodies.
func TestBodyReused(t *testing.T) {
	var b BodyDecoder
	for i := range 3 {
		b.Begin(message.Chunked, -1, Limits{})
		wire := fmt.Sprintf("1\r\nx\r\n0\r\nT: %d\r\n\r\n", i)
		if _, _, done, err := decodeBody(&b, wire, 4); !done || err != nil {
			t.Fatal(done, err)
		}
		if diff := cmp.Diff([]string{fmt.Sprintf("T: %d", i)}, liveFields(b.Trailers())); diff != "" {
			t.Error(diff)
		}
		b.Begin(message.ByLength, 1, Limits{})
		if content, _, done, err := decodeBody(&b, "y", 4); content != "y" || !done || err != nil || b.Trailers() != nil {
			t.Fatal(content, done, err)
		}
	}
}

// TestTrailersOutliveInput overwrites what was given.
func TestTrailersOutliveInput(t *testing.T) {
	var b BodyDecoder
	b.Begin(message.Chunked, -1, Limits{})
	in := []byte("0\r\nX-Sum: 1\r\n\r\n")
	if _, _, done, err := b.Decode(in); !done || err != nil {
		t.Fatal(done, err)
	}
	clear(in)
	if diff := cmp.Diff([]string{"X-Sum: 1"}, liveFields(b.Trailers())); diff != "" {
		t.Error(diff)
	}
}

// TestTrailerStorage has trailers whose storage is not kept.
func TestTrailerStorage(t *testing.T) {
	var b BodyDecoder
	b.Begin(message.Chunked, -1, Limits{})
	big := "0\r\nX: " + strings.Repeat("x", 2*keptTrailers) + "\r\n\r\n"
	if _, used, done, err := decodeBody(&b, big, 1000); used != len(big) || !done || err != nil {
		t.Fatal(used, done, err)
	}
	b.Begin(message.Chunked, -1, Limits{})
	if n := cap(b.trailers.raw); n > keptTrailers {
		t.Errorf("%d bytes are kept", n)
	}
}

// TestChunksAreJoined decodes what was received at once: one piece, whatever the
// chunks, and what follows the body does not change.
func TestChunksAreJoined(t *testing.T) {
	in := []byte("3\r\nabc\r\n1;x=y\r\nd\r\n4\r\nefgh\r\n0\r\nT: v\r\n\r\nHTTP/1.1 200 OK")
	var b BodyDecoder
	b.Begin(message.Chunked, -1, Limits{})
	data, used, done, err := b.Decode(in)
	if string(data) != "abcdefgh" || !done || err != nil {
		t.Errorf("%q, done: %t, %v", data, done, err)
	}
	if rest := string(in[used:]); rest != "HTTP/1.1 200 OK" {
		t.Errorf("what follows is %q", rest)
	}
	if b.Trailers() == nil {
		t.Error("no trailers")
	}
	b.Begin(message.Chunked, -1, Limits{})
	data, used, done, err = b.Decode([]byte("3\r\nabc\r\n5\r\nde"))
	if string(data) != "abcde" || used != 13 || done || err != nil {
		t.Errorf("%q, %d bytes used, done: %t, %v", data, used, done, err)
	}
}
