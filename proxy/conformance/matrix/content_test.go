package matrix_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// large is much; it is sent once a pair and direction.
const large = 32 << 20

// Content of all sizes passes whole, up, down, and both ways at once.
func TestMatrixContent(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		for _, size := range []int64{0, 1, 64 << 10, large} {
			for _, told := range []bool{true, false} {
				if size == large && told == down.HTTP2 {
					continue // once is enough: there with a length, here without
				}
				x.download(size, told)
				x.uploads(size, told)
			}
		}
		x.echoes()
		x.talks()
		x.finish()
	})
}

// download gets content of which the endpoint tells the size or not.
func (x *cross) download(size int64, told bool) {
	path := fmt.Sprintf("/down/%d/%t", size, told)
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		if told {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		} else {
			http.NewResponseController(w).Flush()
		}
		io.CopyBuffer(struct{ io.Writer }{w}, proxytest.NewSource(size), make([]byte, 64<<10))
	})
	response := x.do(x.request(proxytest.WithinPatience(x.T), "GET", path, nil))
	if told {
		proxytest.Same(x.T, path+": told length", response.ContentLength, size)
	}
	expectContent(x.T, response, digestOfSource(size))
	x.expectStatus(response, outcome{path: path})
	x.fine("GET", path, 200, 0, size)
}

// uploads sends content of which the client tells the size or not.
func (x *cross) uploads(size int64, told bool) {
	path := fmt.Sprintf("/up/%d/%t", size, told)
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		if told && r.ContentLength != size {
			x.refuses(w, r, "the content is to have the length %d", r.ContentLength)
		}
		got, err := proxytest.Digest(r.Body)
		if err != nil {
			x.refuses(w, r, "reading the content: %v", err)
		}
		io.WriteString(w, got)
	})
	r, body := x.upload(proxytest.WithinPatience(x.T), path, size, told)
	response := x.do(r)
	expectText(x.T, response, 200, body.Digest())
	x.fine("POST", path, 200, size, int64(len(body.Digest())))
}

// echo sends back what comes, as it comes.
func (x *cross) echo(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.EnableFullDuplex() // which HTTP/2 has always
	c.Flush()
	for b := make([]byte, 64<<10); ; {
		n, err := r.Body.Read(b)
		if _, err := w.Write(b[:n]); err != nil {
			return
		}
		c.Flush()
		if err != nil {
			return
		}
	}
}

// echoes sends much, and reads it as it comes back.
func (x *cross) echoes() {
	const path, size = "/echo", 4 << 20 // more than any window or buffer holds
	x.handle(path, x.echo)
	r, body := x.upload(proxytest.WithinPatience(x.T), path, size, false)
	response := x.do(r)
	got, err := proxytest.Digest(response.Body)
	if want := body.Digest(); err != nil || got != want {
		x.T.Errorf("%s: sent %s, got back %s (%v)", path, want, got, err)
	}
	x.fine("POST", path, 200, size, size)
}

// talks sends each piece when the one before it has come back: nothing waits for
// more on its way.
func (x *cross) talks() {
	const path, turns = "/talk", 50
	x.handle(path, x.echo)
	body, pipe := io.Pipe()
	response := x.do(x.request(proxytest.WithinPatience(x.T), "POST", path, body))
	total := 0
	for i := range turns {
		text := fmt.Sprintf("turn %d.", i)
		total += len(text)
		got := make([]byte, len(text))
		pipe.Write([]byte(text))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != text {
			x.T.Fatalf("%s: got back %q (%v), want %q", path, got, err, text)
		}
	}
	pipe.Close()
	expectText(x.T, response, 200, "")
	x.fine("POST", path, 200, int64(total), int64(total))
}

// What comes besides content passes as well.
func TestMatrixMessages(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		x.trailers()
		x.interims()
		x.continues()
		x.continuesNot()
		x.withoutContent()
		x.early()
		x.cookies()
		x.fails()
		x.finish()
	})
}

// trailers sends some both ways.
func (x *cross) trailers() {
	const path = "/trailers"
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Down")
		b, err := io.ReadAll(r.Body)
		if got := r.Trailer.Get("X-Up"); err != nil || got != "sum of "+string(b) {
			x.refuses(w, r, "the content %q has the trailers %v (%v)", b, r.Trailer, err)
		}
		io.WriteString(w, "content")
		http.NewResponseController(w).Flush()
		w.Header().Set("X-Down", "sum of content")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "too")
	})
	r := x.request(proxytest.WithinPatience(x.T), "POST", path, nil)
	r.Trailer = http.Header{"X-Up": nil}
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("piece"), atEnd(func() { r.Trailer.Set("X-Up", "sum of piece") })))
	r.ContentLength = -1
	r.Header.Set("TE", "trailers")
	response := x.do(r)
	expectText(x.T, response, 200, "content")
	if got := response.Trailer; got.Get("X-Down") != "sum of content" || got.Get("X-Unannounced") != "too" {
		x.T.Errorf("%s: the response has the trailers %v", path, got)
	}
	x.fine("POST", path, 200, 5, 7)
}

// atEnd is no content, and calls a function when it is read.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// interims sends interim responses ahead of the final one.
func (x *cross) interims() {
	const path = "/interim"
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		for _, link := range []string{"</a.css>; rel=preload", "</b.js>; rel=preload"} {
			w.Header().Set("Link", link)
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		io.WriteString(w, "final")
	})
	var got []string
	ctx := httptrace.WithClientTrace(proxytest.WithinPatience(x.T), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		},
	})
	response := x.do(x.request(ctx, "GET", path, nil))
	expectText(x.T, response, 200, "final")
	if want := []string{"103 </a.css>; rel=preload", "103 </b.js>; rel=preload"}; !slices.Equal(got, want) || response.Header.Get("Link") != "" {
		x.T.Errorf("%s: the interim responses are %q, want %q; the final one has Link: %q", path, got, want, response.Header.Get("Link"))
	}
	x.fine("GET", path, 200, 0, 5)
}

// continues sends content when it is asked for.
func (x *cross) continues() {
	const path = "/continue"
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") == "" && !x.up.HTTP2 {
			x.refuses(w, r, "there is no Expect")
		}
		got, _ := proxytest.Digest(r.Body)
		io.WriteString(w, got)
	})
	continued := 0
	ctx := httptrace.WithClientTrace(proxytest.WithinPatience(x.T), &httptrace.ClientTrace{Got100Continue: func() { continued++ }})
	r, body := x.upload(ctx, path, 64<<10, true)
	r.Header.Set("Expect", "100-continue")
	response := x.do(r)
	expectText(x.T, response, 200, body.Digest())
	proxytest.Same(x.T, path+": times that the client was told to continue", continued, 1)
	x.fine("POST", path, 200, 64<<10, int64(len(body.Digest())))
}

// continuesNot is answered without ever being asked for its content.
func (x *cross) continuesNot() {
	const path = "/continue/not"
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	})
	r, body := x.upload(proxytest.WithinPatience(x.T), path, 64<<10, true)
	r.Header.Set("Expect", "100-continue")
	expectText(x.T, x.do(r), http.StatusExpectationFailed, "")
	proxytest.Same(x.T, path+": bytes sent", body.Sent.Load(), 0)
	x.fine("POST", path, http.StatusExpectationFailed, 0, 0)
}

// withoutContent is for responses that have none, whatever they say of it.
func (x *cross) withoutContent() {
	for _, c := range []struct {
		method, length, tag string
		status              int
	}{
		{"HEAD", "65536", "", 200},
		{"HEAD", "", "", 200},
		{"GET", "", "", 204},
		{"GET", "", `"tag"`, 304},
		{"GET", "0", "", 404},
		{"DELETE", "0", "", 200},
	} {
		path := fmt.Sprintf("/without/%s/%s/%d", c.method, cmp.Or(c.length, "none"), c.status)
		x.handle(path, func(w http.ResponseWriter, r *http.Request) {
			if c.length != "" {
				w.Header().Set("Content-Length", c.length)
			}
			if c.tag != "" {
				w.Header().Set("ETag", c.tag)
			}
			w.WriteHeader(c.status)
		})
		response := x.do(x.request(proxytest.WithinPatience(x.T), c.method, path, nil))
		expectText(x.T, response, c.status, "")
		proxytest.Same(x.T, path+": Content-Length", response.Header.Get("Content-Length"), c.length)
		proxytest.Same(x.T, path+": ETag", response.Header.Get("ETag"), c.tag)
		x.fine(c.method, path, c.status, 0, 0)
	}
}

// early is answered before its content has been sent, which then never is.
func (x *cross) early() {
	const path = "/early"
	answer := proxytest.Pattern(64 << 10)
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		if !x.up.HTTP2 {
			w.Header().Set("Connection", "close") // else the content is waited for
			http.NewResponseController(w).EnableFullDuplex()
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, answer)
	})
	body, pipe := io.Pipe()
	defer pipe.Close()
	r := x.request(proxytest.WithinPatience(x.T), "POST", path, body)
	response := x.do(r)
	expectText(x.T, response, http.StatusRequestEntityTooLarge, answer)
	x.expect(outcome{method: "POST", path: path, status: 413, in: 0, out: int64(len(answer)), answered: 413})
}

// cookies come in several fields over HTTP/2, and in one over HTTP/1 (RFC 9113
// section 8.2.3). Those that are set stay in fields of their own.
func (x *cross) cookies() {
	const path = "/cookies?with=a%20query&and=more"
	x.handle("/cookies", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header["Cookie"]; !slices.Equal(got, []string{"a=1; b=2; c=3"}) {
			x.refuses(w, r, "the cookies are %q", got)
		}
		if got := r.URL.RawQuery; got != "with=a%20query&and=more" {
			x.refuses(w, r, "the query is %q", got)
		}
		if got := r.Header["X-Twice"]; !slices.Equal(got, []string{"one", "two"}) {
			x.refuses(w, r, "X-Twice is %q", got)
		}
		w.Header()["Set-Cookie"] = []string{"a=1; Path=/", "b=2"}
	})
	r := x.request(proxytest.WithinPatience(x.T), "GET", path, nil)
	r.Header.Set("Cookie", "a=1; b=2; c=3")
	r.Header["X-Twice"] = []string{"one", "two"}
	response := x.do(r)
	expectText(x.T, response, 200, "")
	if got := response.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1; Path=/", "b=2"}) {
		x.T.Errorf("%s: cookies are set by %q", path, got)
	}
	x.fine("GET", path, 200, 0, 0)
}

// fails is answered with a failure of the endpoint's own.
func (x *cross) fails() {
	const path = "/fails"
	x.handle(path, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "not today", http.StatusInternalServerError)
	})
	response := x.do(x.request(proxytest.WithinPatience(x.T), "GET", path, nil))
	expectText(x.T, response, 500, "not today\n")
	o := outcome{path: path, status: 500, in: 0, out: 10, origin: "endpoint", answered: 500}
	x.expectStatus(response, o)
	x.expect(o)
}

// Many requests at once do not get in each other's way.
func TestMatrixManyAtOnce(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		const clients, rounds = 12, 8
		x := newCross(t, down, up, nil)
		sizes := []int64{0, 1, 1000, 20_000, 64 << 10, 200_000}
		var wg sync.WaitGroup
		for n := range clients {
			wg.Go(func() {
				for i := range rounds {
					if t.Failed() {
						return
					}
					path := fmt.Sprintf("/many/%d/%d", n, i)
					size := sizes[(n+i)%len(sizes)]
					x.handle(path, x.echo)
					x.once(path, size, i%2 == 0)
				}
			})
		}
		wg.Wait()
		x.finish()
	})
}

// once sends content and gets it back; it may be called from any goroutine.
func (x *cross) once(path string, size int64, told bool) {
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	r, body := x.upload(ctx, path, size, told)
	response, err := x.client.Do(r)
	if err != nil {
		x.T.Errorf("%s: %v", path, err)
		return
	}
	defer response.Body.Close()
	got, err := proxytest.Digest(response.Body)
	if want := body.Digest(); err != nil || got != want || response.StatusCode != 200 {
		x.T.Errorf("%s: %d, sent %s, got back %s (%v)", path, response.StatusCode, want, got, err)
	}
	x.fine("POST", path, 200, size, size)
}

// A client that offers h2c by an upgrade is answered as one of HTTP/1.1 (RFC
// 9113 section 3.1: the upgrade is no more).
func TestMatrixUpgradeToH2C(t *testing.T) {
	t.Parallel()
	for _, up := range proxytest.Sides {
		t.Run("to "+up.Name, func(t *testing.T) {
			t.Parallel()
			x := newCross(t, proxytest.Sides[0], up, nil)
			x.handle("/upgrade", func(w http.ResponseWriter, r *http.Request) {
				for _, name := range []string{"Upgrade", "HTTP2-Settings", "Connection"} {
					if got := r.Header.Values(name); len(got) > 0 {
						x.refuses(w, r, "%s: %q", name, got)
					}
				}
				io.WriteString(w, "plain")
			})
			p := proxytest.Dial(t, x.Ingress())
			for range 2 { // and the connection goes on
				p.Send("GET /upgrade HTTP/1.1\r\nHost: " + webHost + "\r\nConnection: Upgrade, HTTP2-Settings\r\n" +
					"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
				response, body := p.ReadResponse("GET")
				if response.StatusCode != 200 || response.Proto != "HTTP/1.1" || body != "plain" {
					t.Errorf("%s %s: %q", response.Proto, response.Status, body)
				}
				x.fine("GET", "/upgrade", 200, 0, 5)
			}
			x.finish()
		})
	}
}
