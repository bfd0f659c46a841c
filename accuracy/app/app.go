package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// App is a running application. Its methods may be called at any time.
type App struct {
	Spec
	listener net.Listener
	server   *http.Server // or
	calls    *grpc.Server

	out      caller
	trouble  atomic.Value // Trouble
	served   atomic.Int64
	attempts sync.Map // of Flaky: the traces seen
	ctx      context.Context
	stop     context.CancelFunc
	done     chan struct{}
	once     sync.Once
}

// Start serves on a free port of its host until Close.
func Start(s Spec) (*App, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", s.Name, err)
	}
	a := &App{Spec: s, listener: l, done: make(chan struct{})}
	a.trouble.Store(NoTrouble)
	a.ctx, a.stop = context.WithCancel(context.Background())
	if err := a.out.open(s); err != nil {
		l.Close()
		return nil, fmt.Errorf("application %s: %w", s.Name, err)
	}
	var serve func(net.Listener) error
	if s.GRPC {
		a.calls = a.grpcServer()
		serve = a.calls.Serve
	} else {
		a.server = &http.Server{
			Handler: a, ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent,
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, requestsKey{}, new(atomic.Int64))
			},
		}
		serve = a.server.Serve
	}
	go func() {
		defer close(a.done)
		_ = serve(l) // it ends by Close alone
	}()
	return a, nil
}

// Address is where it listens, host:port.
func (a *App) Address() string { return a.listener.Addr().String() }

// Misbehave makes it misbehave from the next request on.
func (a *App) Misbehave(t Trouble) { a.trouble.Store(t) }

// Close ends it at once, so that its port refuses connections.
func (a *App) Close() {
	a.once.Do(func() {
		a.stop()
		if a.server != nil {
			a.server.Close()
		} else {
			a.calls.Stop()
		}
		<-a.done
		a.out.close()
	})
}

// requestsKey is the context's key for how many requests a connection has carried.
type requestsKey struct{}

func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // the answer does not depend on it
	n := r.Context().Value(requestsKey{}).(*atomic.Int64).Add(1)
	trouble := a.trouble.Load().(Trouble)
	if a.misbehave(w, trouble, n) {
		return
	}
	ctx, cancel := a.context(r.Context())
	defer cancel()
	err := a.serve(ctx, trouble, request{r.Method, r.Header.Get("Traceparent"), r.Header.Get("Tracestate"), r.Header.Get(expected)})
	status := http.StatusInternalServerError
	if failed, ok := errors.AsType[*callError](err); ok {
		status = a.FailStatus
		err = failed
	}
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	if trouble == Large {
		_, _ = w.Write(make([]byte, 8<<20)) // an error means that the caller went away
		return
	}
	_, _ = io.WriteString(w, a.Name+" is well\n")
}

// context ends with the request or the application.
func (a *App) context(request context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request)
	unhook := context.AfterFunc(a.ctx, cancel)
	return ctx, func() { unhook(); cancel() }
}

// request is what of a request goes on to callees, and for how many milliseconds its caller
// waits.
type request struct{ method, traceparent, tracestate, expected string }

// expected is the field for that.
const expected = "x-envoy-expected-rq-timeout-ms"

// serve does the work of one request. A *callError means that a call failed; any other
// error is the application's own.
func (a *App) serve(ctx context.Context, trouble Trouble, r request) error {
	pause(ctx, a.Work)
	n := a.served.Add(1) - 1
	switch trouble {
	case Error:
		return errors.New(a.Name + " has a defect")
	case ErrorHalf:
		if n%2 == 0 {
			return errors.New(a.Name + " has a defect")
		}
	case Hang:
		<-ctx.Done()
		return ctx.Err()
	case Slow:
		pause(ctx, slowness)
	case Steady:
		pause(ctx, steadiness)
	case Dawdle:
		ms, _ := strconv.Atoi(r.expected)
		pause(ctx, time.Duration(ms)*time.Millisecond*92/100)
	case Flaky:
		if _, seen := a.attempts.LoadOrStore(r.traceparent[:min(len(r.traceparent), 35)], true); !seen {
			return errors.New(a.Name + " failed the first attempt")
		}
	}
	if a.DropHeaders {
		r.traceparent, r.tracestate = "", ""
	}
	return a.callAll(ctx, r, n)
}

// pause takes that long, or until the request is over.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
