package demo

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Trouble is how an Application misbehaves.
type Trouble string

// The troubles.
const (
	NoTrouble      Trouble = ""
	Refuse         Trouble = "refuse"          // close the socket, so that connections are refused
	Fail           Trouble = "fail"            // answer with an error of its own
	Dawdle         Trouble = "dawdle"          // answer well, but late
	ForgetContext  Trouble = "forget-context"  // call others without the trace context
	BadCertificate Trouble = "bad-certificate" // show the other certificate
)

// Application is one service of the demo's mesh by itself, for a mesh whose services are
// processes. Its methods may be called at any time.
type Application struct {
	service *service
	address string
	tls     *tls.Config // nil for plain HTTP

	trouble atomic.Value // Trouble
	changes sync.Mutex   // held while it changes what it listens on
	server  *http.Server // nil while it listens nowhere
	done    chan struct{}
}

// Certificates are what an application shows: the good one, and that of [BadCertificate].
type Certificates struct{ Good, Bad tls.Certificate }

// Names are the services of the mesh, each after those that it calls; the last one takes
// the requests from outside.
func Names() (names []string) {
	for _, n := range graph() {
		names = append(names, n.name)
	}
	return names
}

// Callees are the services that a service calls.
func Callees(name string) []string { return find(graph(), name).calls }

// Path is the path that a service serves.
func Path(name string) string { return find(graph(), name).path }

// HasSidecar reports whether a service has a proxy: the one outside the mesh has none.
func HasSidecar(name string) bool { return name != outside }

// StartApplication serves one of [Names] on a free port, over TLS if there are certificates.
// Before it can call others, [Application.Connect] has to say where its proxy is.
func StartApplication(name string, certificates *Certificates) (*Application, error) {
	a := &Application{}
	a.trouble.Store(NoTrouble)
	s, err := newService(find(graph(), name), graph(), slog.New(slog.DiscardHandler), a.hold)
	if err != nil {
		return nil, err
	}
	a.service, a.address = s, s.listener.Addr().String()
	if certificates != nil {
		// Whoever resumes a session does not look at the certificate again.
		a.tls = &tls.Config{SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if a.has(BadCertificate) {
				return &certificates.Bad, nil
			}
			return &certificates.Good, nil
		}}
	}
	a.serve(s.listener)
	return a, nil
}

// Address is where it listens, host:port.
func (a *Application) Address() string { return a.address }

// Connect makes it call others by the HTTP proxy at the address. Call it before it gets
// requests.
func (a *Application) Connect(proxy string) { a.service.connect(proxy) }

// Misbehave makes it misbehave from now on. The connections that it has are closed where the
// trouble is about connections.
func (a *Application) Misbehave(ctx context.Context, t Trouble) error {
	switch t {
	case NoTrouble, Refuse, Fail, Dawdle, ForgetContext, BadCertificate:
	default:
		return fmt.Errorf("demo: there is no trouble %q", t)
	}
	a.changes.Lock()
	defer a.changes.Unlock()
	a.trouble.Store(t)
	if t == Refuse || t == BadCertificate {
		a.stop()
	}
	if t != Refuse && a.server == nil {
		listener := reopen(ctx, a.address)
		if listener == nil {
			return fmt.Errorf("demo: %s can't listen on %s again", a.service.name, a.address)
		}
		a.serve(listener)
	}
	return nil
}

// Close ends it at once.
func (a *Application) Close() {
	a.changes.Lock()
	defer a.changes.Unlock()
	a.stop()
	a.service.close()
}

func (a *Application) serve(l net.Listener) {
	if a.tls != nil {
		l = tls.NewListener(l, a.tls)
	}
	server := &http.Server{Handler: a, ReadHeaderTimeout: a.service.server.ReadHeaderTimeout, ErrorLog: a.service.server.ErrorLog}
	done := make(chan struct{})
	a.server, a.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(l) // it ends by stop alone
	}()
}

func (a *Application) stop() {
	if a.server != nil {
		a.server.Close()
		<-a.done
		a.server = nil
	}
}

func (a *Application) has(t Trouble) bool { return a.trouble.Load() == t }

// hold is how long a request takes beyond the service's work.
func (a *Application) hold(int64) time.Duration {
	if a.has(Dawdle) {
		return slowness
	}
	return 0
}

func (a *Application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.has(Fail) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		// An error here means that the caller went away.
		_ = json.NewEncoder(w).Encode(reply{Service: a.service.name, Error: "a defect of " + a.service.name})
		return
	}
	if a.has(ForgetContext) {
		for _, name := range contextFields() {
			r.Header.Del(name)
		}
	}
	a.service.ServeHTTP(w, r)
}

// Traffic sends requests to a URL, so many a second, until ctx ends and the last of them is
// over.
func Traffic(ctx context.Context, url string, rate float64) {
	(&load{url: url, rate: rate}).run(ctx)
}
