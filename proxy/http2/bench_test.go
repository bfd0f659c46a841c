package http2_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"golang.org/x/net/http2/hpack"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

// BenchmarkServer answers requests, ten at a time on one connection, by a
// goroutine a stream that is kept for the next one.
func BenchmarkServer(b *testing.B) {
	work := make(chan *http2.Stream, 100)
	defer close(work)
	s := serve(b, nil, nil)
	near, far := pipe(b)
	for range 10 {
		s.running.Go(func() {
			var h message.Head
			r := response(200, 98, "content-type", "text/plain", "server", "nginx", "x-request-id", "0af7651916cd43dd8448eb211c80319c")
			content := make([]byte, 98)
			for st := range work {
				st.TakeHead(&h)
				st.WriteHead(r, false)
				st.Write(content)
				st.End(nil)
				st.Flush()
				st.Close()
			}
		})
	}
	c := http2.Server(netio.New(near, s.options.Shared), s.options, func(st *http2.Stream) { work <- st })
	s.running.Go(func() { c.Run() })
	io.WriteString(far, http2.Preface)
	f := frame.NewFramer(far, far)
	f.WriteSettings()
	f.WriteWindowUpdate(0, 1<<31-1-65535) // enough for a run

	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "127.0.0.1:8080"}, {":path", "/hello?name=world"}, {"user-agent", "h2load nghttp2/1.52.0"}, {"accept", "*/*"}, {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}} {
		e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	one := []byte{0, 0, byte(block.Len()), 1, 5, 0, 0, 0, 0}
	one = append(one, block.Bytes()...)
	var batch []byte
	id, in := uint32(1), make([]byte, 64<<10)
	have := 0
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N/10 + 1 {
		batch = batch[:0]
		for range 10 {
			at := len(batch)
			batch = append(batch, one...)
			binary.BigEndian.PutUint32(batch[at+5:], id)
			id += 2
		}
		if _, err := far.Write(batch); err != nil {
			b.Fatal(err)
		}
		for ended := 0; ended < 10; {
			n, err := far.Read(in[have:])
			if err != nil {
				b.Fatal(err)
			}
			have += n
			used := 0
			for have-used >= 9 {
				l := 9 + int(in[used])<<16 + int(in[used+1])<<8 + int(in[used+2])
				if have-used < l {
					break
				}
				if in[used+3] <= 1 && in[used+4]&1 != 0 {
					ended++
				}
				used += l
			}
			have = copy(in, in[used:have])
		}
	}
	b.StopTimer()
	far.Close()
}
