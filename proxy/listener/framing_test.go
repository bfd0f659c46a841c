package listener

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// careless is a server with a filter that changes how the request is framed, and
// never restores it. It answers with the request's path and content.
type careless struct {
	edit    func(*message.Head)
	serving chan struct{} // a request is being served
}

func (s careless) Serve(x *filter.Exchange, refused error) {
	x.Hop = x.Conn.Info().Sink.Open()
	text := string(x.Request.Path())
	s.edit(&x.Request)
	s.serving <- struct{}{}
	for refused == nil {
		piece, err := x.Body.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			text += " " + err.Error()
			break
		}
		text += " " + string(piece)
	}
	r := &x.Response
	r.Begin(nil)
	r.Status, r.Framing, r.Length = 200, message.ByLength, int64(len(text))
	if refused != nil {
		r.Status = fault.Of(refused).Kind.Status()
	}
	x.Writer.Head(r)
	x.Writer.Content([]byte(text))
	x.Writer.End(nil)
	x.Finished = x.Conn.(*http1Conn).listener.Shared.Now()
}

func (careless) Lost(*filter.ConnInfo, hop.Version, *fault.Error) {}

// TestFiltersDoNotFrameTheConnection: where a request ends on its connection is what
// was decoded, whatever a filter makes of the head: or content would be taken for a
// request, or a request for content.
func TestFiltersDoNotFrameTheConnection(t *testing.T) {
	for name, edit := range map[string]func(*message.Head){
		"no content": func(r *message.Head) { r.Framing, r.Length = message.NoBody, 0 },
		"too short":  func(r *message.Head) { r.Framing, r.Length = message.ByLength, 1 },
		"too long":   func(r *message.Head) { r.Framing, r.Length = message.ByLength, 1000 },
		"chunked":    func(r *message.Head) { r.Framing, r.Length = message.Chunked, -1 },
		"old":        func(r *message.Head) { r.Version, r.Close, r.Expect = hop.HTTP10, true, true },
		"emptied":    (*message.Head).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			s := careless{edit, make(chan struct{}, 1000)}
			l, _ := newTestListener(t, nil)
			l.Use(s)
			var wg sync.WaitGroup
			wg.Go(l.Serve)
			t.Cleanup(func() {
				drain(l, patience)
				wg.Wait()
			})
			const content = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
			const post = "POST /a HTTP/1.1\r\nHost: a\r\n"
			byLength := post + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(content))
			chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
			for _, tt := range []struct{ now, later, want string }{
				{byLength + content, "", "/a " + content},
				{byLength, content, "/a " + content},
				{byLength + content[:10], content[10:], "/a " + content[:10] + " " + content[10:]},
				{chunked + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(content), content), "", "/a " + content},
				{"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "", "/a"},
			} {
				c := dial(t, l)
				io.WriteString(c, tt.now)
				<-s.serving
				io.WriteString(c, tt.later+"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
				r := bufio.NewReader(c)
				for _, want := range []string{tt.want, "/next"} {
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatalf("%q: %v, want %q", tt.now, err, want)
					}
					if got, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(got) != want {
						t.Errorf("%q: %d %q, want %q", tt.now, resp.StatusCode, got, want)
					}
				}
				<-s.serving
			}
		})
	}
}
