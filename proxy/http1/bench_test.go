package http1

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
)

// browserRequest is 413 bytes with ten fields.
const browserRequest = "GET /assets/app.js?v=20240611&lang=en HTTP/1.1\r\n" +
	"Host: shop.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/125.0\r\n" +
	"Accept: */*\r\n" +
	"Referer: https://shop.example.com/\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: session=8c1f0c3a2d7e4b5f9a6b7c8d9e0f1a2b\r\n" +
	"X-Request-Id: 4bf92f35-77b3-4da6-a3ce-929d0e0e4736\r\n" +
	"Cache-Control: no-cache\r\n\r\n"

const typicalResponse = "HTTP/1.1 200 OK\r\n" +
	"Server: nginx\r\n" +
	"Date: Tue, 11 Jun 2024 10:00:00 GMT\r\n" +
	"Content-Type: text/html; charset=utf-8\r\n" +
	"Content-Length: 98\r\n" +
	"Last-Modified: Mon, 10 Jun 2024 09:00:00 GMT\r\n" +
	"ETag: \"6666c5d0-62\"\r\n" +
	"Accept-Ranges: bytes\r\n\r\n"

func BenchmarkRequest(b *testing.B) {
	for _, bench := range []struct{ name, wire string }{
		{"browser", browserRequest},
		{"wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			in := []byte(bench.wire)
			var d HeadDecoder
			var h message.Head
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if n, err := d.Request(in, &h); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	in := []byte(typicalResponse)
	var d HeadDecoder
	var h message.Head
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if n, err := d.Response(in, message.GET, &h); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkForward is what the codec does for a request and its response.
func BenchmarkForward(b *testing.B) {
	request, response := []byte(browserRequest), []byte(typicalResponse)
	var d HeadDecoder
	var h message.Head
	var body BodyDecoder
	content := bytes.Repeat([]byte("x"), 98)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.Request(request, &h); n == 0 || err != nil {
			b.Fatal(n, err)
		}
		StripHopByHop(&h)
		h.Remove(message.XRequestID)
		h.Add(message.XRequestID, "X-Request-Id", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
		h.Add(message.Traceparent, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		dst = AppendRequest(dst[:0], &h, h.OriginTarget(), Persist)
		if n, err := d.Response(response, message.GET, &h); n == 0 || err != nil {
			b.Fatal(n, err)
		}
		StripHopByHop(&h)
		dst = AppendResponse(dst[:0], &h, Persist)
		body.Begin(h.Framing, h.Length, Limits{})
		if _, _, done, err := body.Decode(content); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var d HeadDecoder
	var h message.Head
	if _, err := d.Request([]byte(browserRequest), &h); err != nil {
		b.Fatal(err)
	}
	StripHopByHop(&h)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendRequest(dst[:0], &h, h.Target(), Persist)
	}
}

func BenchmarkChunked(b *testing.B) {
	var wire []byte
	for range 16 {
		wire = appendChunk(wire, []byte(strings.Repeat("x", 1024)))
	}
	wire = AppendLastChunk(wire, nil)
	var body BodyDecoder
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		body.Begin(message.Chunked, -1, Limits{})
		for rest := wire; ; {
			_, n, done, err := body.Decode(rest)
			if err != nil {
				b.Fatal(err)
			}
			if rest = rest[n:]; done {
				break
			}
		}
	}
}
