package demo

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestApplication has an application misbehave in every way, and behave again.
func TestApplication(t *testing.T) {
	a, err := StartApplication(outside, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ask := func() (int, string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + a.Address() + Path(outside))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	for _, tt := range []struct {
		trouble Trouble
		status  int
		says    string
	}{
		{NoTrouble, 200, `"service": "bank"`},
		{Fail, 500, "a defect of bank"},
		{Refuse, 0, "refused"},
		{Refuse, 0, "refused"},
		{Dawdle, 200, "bank"},
		{NoTrouble, 200, "bank"},
	} {
		if err := a.Misbehave(t.Context(), tt.trouble); err != nil {
			t.Fatal(err)
		}
		if status, text := ask(); status != tt.status || !strings.Contains(text, tt.says) {
			t.Errorf("%q: %d %s, want %d with %q", tt.trouble, status, text, tt.status, tt.says)
		}
	}
	if err := a.Misbehave(t.Context(), "sing"); err == nil {
		t.Error("no error for a trouble that there is not")
	}
}

// TestApplicationForgetsContext looks at what an application hands on.
func TestApplicationForgetsContext(t *testing.T) {
	var got string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Traceparent")
		io.WriteString(w, `{"service": "inventory"}`)
	}))
	defer proxy.Close()
	a, err := StartApplication("orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	a.Connect(strings.TrimPrefix(proxy.URL, "http://"))
	const context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for trouble, want := range map[Trouble]string{NoTrouble: context, ForgetContext: ""} {
		if err := a.Misbehave(t.Context(), trouble); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, Path("orders"), nil)
		r.Header.Set("Traceparent", context)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK || got != want {
			t.Errorf("%q: %d, handed on %q, want %q", trouble, w.Code, got, want)
		}
	}
}

// TestApplicationShowsTheOtherCertificate connects before and after.
func TestApplicationShowsTheOtherCertificate(t *testing.T) {
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	good := lender.TLS.Certificates[0]
	a, err := StartApplication(outside, &Certificates{Good: good, Bad: tls.Certificate{}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	dial := func() error {
		c, err := tls.Dial("tcp", a.Address(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := dial(); err != nil {
		t.Error(err)
	}
	if err := a.Misbehave(t.Context(), BadCertificate); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err == nil {
		t.Error("it still shows the good certificate")
	}
}
