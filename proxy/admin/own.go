package admin

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hopscope/hopscope/mesh"
)

// ask sends a request to a member of the mesh. What this proxy knows itself it answers
// without a connection.
func (a *api) ask(ctx context.Context, call mesh.Call) (*http.Response, error) {
	if a.Mesh == nil {
		return a.own(ctx, call.Path)
	}
	if m, ok := a.member(ctx, call.Address); ok && m.Self {
		return a.own(ctx, call.Path)
	}
	return a.Mesh.Send(ctx, call)
}

// own answers a path below /v1 that is read, as a client would get it. The caller closes
// the response's body, which has it written no further.
func (a *api) own(ctx context.Context, path string) (*http.Response, error) {
	u, err := url.Parse("/v1" + path)
	if err != nil {
		return nil, err
	}
	r := (&http.Request{Method: http.MethodGet, URL: u, Host: "localhost", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Accept": {"application/json"}}}).WithContext(ctx)
	body, to := io.Pipe()
	w := &ownWriter{header: http.Header{mesh.HeaderProcess: {a.Process}}, body: to, began: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { to.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		defer func() {
			switch e := recover(); {
			case e == http.ErrAbortHandler:
				to.CloseWithError(io.ErrUnexpectedEOF)
			case e != nil:
				a.caught(e)
				to.CloseWithError(io.ErrUnexpectedEOF)
			}
			w.WriteHeader(http.StatusOK)
			to.Close()
		}()
		a.inner.ServeHTTP(w, r)
	}()
	select {
	case <-w.began:
		return &http.Response{StatusCode: w.status, Header: w.header, Body: body, Request: r}, nil
	case <-ctx.Done():
		body.Close()
		return nil, ctx.Err()
	}
}

// ownWriter is the response to this proxy itself.
type ownWriter struct {
	header http.Header
	status int
	body   *io.PipeWriter
	began  chan struct{} // closed when header and status are there
}

func (w *ownWriter) Header() http.Header {
	select {
	case <-w.began:
		return http.Header{} // too late
	default:
		return w.header
	}
}

func (w *ownWriter) WriteHeader(status int) {
	select {
	case <-w.began:
	default:
		w.status = status
		close(w.began)
	}
}

func (w *ownWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush does nothing: what is written is read at once.
func (w *ownWriter) Flush() {}

// innerMux has what this proxy answers to itself: what is read below /v1, each in its lane.
func (a *api) innerMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range a.endpoints {
		if !strings.HasPrefix(e.pattern, "/v1/") || strings.HasPrefix(e.pattern, "/v1/mesh/") || !strings.HasPrefix(e.methods, get) || e.open {
			continue
		}
		serve := e.serve
		if e.lane != nil {
			serve = e.lane.serve(serve)
		}
		mux.HandleFunc(e.pattern, serve)
	}
	mux.HandleFunc("/", a.notHere)
	return mux
}
