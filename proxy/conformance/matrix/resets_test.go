package matrix_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// breaking is a request that one side breaks off. Its endpoint reads the first
// piece of the content, if there is any, sends the first piece of a response, if
// it comes that far, and then says that it is there.
type breaking struct {
	path              string
	uploads, responds bool
	reached           chan struct{}
}

const firstPiece = "the first piece"

// atStages breaks off a request at each stage of its life.
func atStages(x *cross, name string, test func(b *breaking)) {
	for stage, b := range map[string]breaking{
		"waiting": {}, "uploading": {uploads: true}, "responding": {responds: true}, "both": {uploads: true, responds: true},
	} {
		b.path, b.reached = "/"+name+"/"+stage, make(chan struct{})
		test(&b)
		if x.T.Failed() {
			x.T.Logf("%s, %s", name, stage)
			return
		}
	}
}

// begin is the endpoint's part, up to the stage.
func (b *breaking) begin(x *cross, w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	c.EnableFullDuplex()
	if b.uploads {
		got := make([]byte, len(firstPiece))
		if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != firstPiece {
			x.T.Errorf("%s: the endpoint read %q (%v)", b.path, got, err)
		}
	}
	if b.responds {
		io.WriteString(w, firstPiece)
		c.Flush()
	}
	close(b.reached)
}

// send is the client's part, up to the stage: by a method that is not tried
// again, however the connection to the endpoint ends. There is no response yet where the
// endpoint does not get that far.
func (b *breaking) send(ctx context.Context, x *cross) (response *http.Response, err error) {
	var body io.Reader
	if b.uploads {
		reader, pipe := io.Pipe()
		body = reader
		go pipe.Write([]byte(firstPiece))                                 // and nothing after it
		context.AfterFunc(ctx, func() { pipe.CloseWithError(ctx.Err()) }) // which net/http may wait for
	}
	response, err = x.client.Do(x.request(ctx, "POST", b.path, body))
	if err == nil && b.responds {
		got := make([]byte, len(firstPiece))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != firstPiece {
			x.T.Errorf("%s: the client read %q (%v)", b.path, got, err)
		}
	}
	return response, err
}

// outcome is what is sure of it.
func (b *breaking) outcome() outcome {
	o := outcome{method: "POST", path: b.path}
	if b.uploads {
		o.in = int64(len(firstPiece))
	}
	if b.responds {
		o.status, o.answered, o.out = 200, 200, int64(len(firstPiece))
	}
	return o
}

// A client that breaks off its request, or loses its connection, ends the
// request at the endpoint; every view says that it was the client.
func TestMatrixClientBreaksOff(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		flag := "DC"
		if down.HTTP2 {
			flag = "DR"
		}
		x.clientBreaks("cancels", flag, func() {})
		x.clientBreaks("closes", "DC", x.closeConns)
		x.stillWorks()
		x.finish()
	})
}

// clientBreaks has the client cancel a request at each stage, all at the same
// time, after it did something else.
func (x *cross) clientBreaks(name, flag string, first func()) {
	ctx, cancel := context.WithCancel(proxytest.WithinPatience(x.T))
	defer cancel()
	var all []*leaving
	atStages(x, name, func(b *breaking) { all = append(all, x.leaves(ctx, b)) })
	first()
	cancel()
	for _, l := range all {
		proxytest.AwaitClosed(x.T, l.path+": the client giving up", l.ended)
		proxytest.AwaitClosed(x.T, l.path+": the endpoint noticing", l.noticed)
		o := l.outcome()
		o.flags, o.origin, o.tried = flag, "downstream", flag
		x.expect(o)
	}
}

// leaving is a request that its client breaks off.
type leaving struct {
	*breaking
	ended, noticed chan struct{} // the client's part, the endpoint's
}

// leaves begins a request, up to its stage; it ends with ctx.
func (x *cross) leaves(ctx context.Context, b *breaking) *leaving {
	l := &leaving{b, make(chan struct{}), make(chan struct{})}
	x.handle(b.path, func(w http.ResponseWriter, r *http.Request) {
		defer close(l.noticed)
		b.begin(x, w, r)
		if b.uploads {
			if n, err := r.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
				x.T.Errorf("%s: the endpoint read %d bytes more (%v)", b.path, n, err)
			}
			return
		}
		<-r.Context().Done()
	})
	sent := make(chan struct{})
	go func() {
		defer close(l.ended)
		response, err := b.send(ctx, x)
		close(sent)
		if (err == nil) != b.responds {
			x.T.Errorf("%s: the client got %v, %v", b.path, response, err)
		}
		if err == nil {
			<-ctx.Done()
			response.Body.Close()
		}
	}()
	proxytest.AwaitClosed(x.T, b.path+": the request reaching the endpoint", b.reached)
	if b.responds {
		proxytest.AwaitClosed(x.T, b.path+": the response reaching the client", sent)
	}
	return l
}

// closeConns loses the client's connections.
func (x *cross) closeConns() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.conns {
		c.Close()
	}
	x.conns = nil
}

// stillWorks has another request go through.
func (x *cross) stillWorks() {
	x.handle("/after", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	expectText(x.T, x.do(x.request(proxytest.WithinPatience(x.T), "GET", "/after", nil)), 200, "fine")
	x.fine("GET", "/after", 200, 0, 4)
}

// An endpoint that breaks off a request, or loses its connection, fails it; every
// view says that it was the endpoint, and the client learns it: from the proxy's
// answer, or from a response that does not come whole.
func TestMatrixEndpointBreaksOff(t *testing.T) {
	proxytest.EachPair(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		if up.HTTP2 { // HTTP/1 has nothing but the end of the connection for it
			atStages(x, "aborts", func(b *breaking) { x.endpointBreaks(b, "UR", func(*http.Request) {}) })
		}
		atStages(x, "closes", func(b *breaking) {
			x.endpointBreaks(b, "UC", func(r *http.Request) { connOf(r).CloseWrite() })
		})
		atStages(x, "resets", func(b *breaking) {
			x.endpointBreaks(b, "UR", func(r *http.Request) {
				connOf(r).SetLinger(0)
				connOf(r).Close()
			})
		})
		x.stillWorks()
		x.finish()
	})
}

// endpointBreaks has the endpoint abort a request, after it did something else.
func (x *cross) endpointBreaks(b *breaking, flag string, first func(*http.Request)) {
	release := make(chan struct{})
	x.handle(b.path, func(w http.ResponseWriter, r *http.Request) {
		b.begin(x, w, r)
		<-release
		first(r)
		panic(http.ErrAbortHandler)
	})
	if !b.responds {
		close(release)
	}
	o := b.outcome()
	o.flags, o.origin, o.tried = flag, "proxy", flag
	response, err := b.send(proxytest.WithinPatience(x.T), x)
	if err != nil {
		x.T.Errorf("%s: %v", b.path, err)
		return
	}
	defer response.Body.Close()
	if b.responds {
		close(release)
		if rest, err := io.ReadAll(response.Body); err == nil || len(rest) > 0 {
			x.T.Errorf("%s: the response seems whole: %q after the first piece (%v)", b.path, rest, err)
		}
	} else {
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 503 {
			x.T.Errorf("%s: %d %q (%v), want 503", b.path, response.StatusCode, text, err)
		}
		o.status, o.failure, o.out = 503, "connection_terminated", int64(len(text))
	}
	x.expectStatus(response, o)
	x.expect(o)
}
