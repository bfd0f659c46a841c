package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pretender serves HTTP/1.1 and h2c in the place of a proxy of a group.
func pretender(t *testing.T, group string, handler http.HandlerFunc) *proxy {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	ended := make(chan struct{})
	close(ended)
	return &proxy{
		variant: variant{name: "pretender", group: group},
		process: &process{name: "pretender", done: ended},
		listen:  strings.TrimPrefix(server.URL, "http://"),
	}
}

// trailing answers a gRPC call with a body and a status.
func trailing(body []byte, status string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(body)
		w.Header().Set("Grpc-Status", status)
	}
}

func TestProveAsksAsTheLoadWill(t *testing.T) {
	const n = 98
	plain := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, filler(n)) }
	for _, tc := range []struct {
		name, group string
		handler     http.HandlerFunc
		wrong       string // in the error, "" for none
	}{
		{"HTTP/1.1", groupHTTP1, plain, ""},
		{"HTTP/2", groupH2, plain, ""},
		{"gRPC", groupGRPC, trailing(frame([]byte(filler(n))), "0"), ""},
		{"too short", groupH2, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "98 bytes arrived with 1"},
		{"an error", groupH2, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "503"},
		{"a view that should be off", groupHTTP1, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Proxy-Status", "p")
			plain(w, r)
		}, "Proxy-Status: true"},
		{"a gRPC error", groupGRPC, trailing(nil, "14"), `grpc-status "14"`},
		{"no gRPC status", groupGRPC, plain, `grpc-status ""`},
		{"a cut message", groupGRPC, trailing(frame([]byte(filler(n)))[:50], "0"), "not one gRPC message"},
	} {
		err := pretender(t, tc.group, tc.handler).prove(t.Context(), []int{n}, nil)
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.wrong)
		}
	}
}

func TestProveHoldsToTheSuite(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p := &proxy{variant: variant{name: "pretender", group: groupTLS}, listen: server.Listener.Addr().String()}
	if err := p.prove(t.Context(), []int{1}, roots); err != nil {
		t.Errorf("TLS as Go speaks it: %v", err)
	}
	old := httptest.NewUnstartedServer(server.Config.Handler)
	old.TLS = server.TLS.Clone()
	old.TLS.MaxVersion = tls.VersionTLS12
	old.StartTLS()
	defer old.Close()
	p.listen = old.Listener.Addr().String()
	if err := p.prove(t.Context(), []int{1}, roots); err == nil || !strings.Contains(err.Error(), "TLS 1.2") {
		t.Errorf("TLS 1.2: %v, want an error that names it", err)
	}
}

// A proxy that answers calls itself, as it does when its backend is gone, is found out.
func TestCallsThatTheBackendDidNotAnswer(t *testing.T) {
	needPrograms(t, "haproxy", "nginx", "h2load")
	t.Setenv("TMPDIR", t.TempDir())
	opts, err := parseOptions([]string{"-only", haproxyGRPC, "-bodies", "98"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	p := pretender(t, groupGRPC, trailing(nil, "14"))
	if _, err := r.put(t.Context(), p, cellsOf(opts)[0], time.Second); err == nil || !strings.Contains(err.Error(), "0 of them the backend's") {
		t.Errorf("put: %v, want an error that counts the backend's answers", err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	expectCleanedUp(t)
}
