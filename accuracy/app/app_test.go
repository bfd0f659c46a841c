package app

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs an application until the test ends.
func start(t *testing.T, s Spec) *App {
	t.Helper()
	s.Host = "127.0.0.1"
	a, err := Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// ask sends a request to an application, and returns its status and content; 0 for a
// response that breaks off, and for none.
func ask(t *testing.T, a *App) (status int, content string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 50 << 10}}
	resp, err := client.Get("http://" + a.Address() + "/")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// TestCalls calls a failing application, over both protocols, without a sidecar between.
func TestCalls(t *testing.T) {
	for _, grpc := range []bool{false, true} {
		bank := start(t, Spec{Name: "bank", GRPC: grpc})
		for _, tt := range []struct {
			trouble  Trouble
			reaction Reaction
			want     int
		}{
			{NoTrouble, Fail, 200},
			{Error, Fail, 502},
			{Error, Swallow, 200},
			{Error, Retry, 502},
			{Error, Late, 502},
			{Flaky, Fail, 502},
			{Slow, Fail, 200},
		} {
			bank.Misbehave(tt.trouble)
			web := start(t, Spec{
				Name: "web", Out: bank.Address(), FailStatus: 502,
				Calls: []Call{{To: "bank", GRPC: grpc, Times: 1, OnFailure: tt.reaction}},
			})
			if tt.trouble == Flaky { // each test has a trace of its own
				bank.attempts.Clear()
			}
			if status, text := ask(t, web); status != tt.want {
				t.Errorf("gRPC %t, %q, %s: status %d %q, want %d", grpc, tt.trouble, tt.reaction, status, text, tt.want)
			}
		}
	}
}

func TestCache(t *testing.T) {
	bank := start(t, Spec{Name: "bank"})
	web := start(t, Spec{Name: "web", Out: bank.Address(), FailStatus: 500, Calls: []Call{{To: "bank", Times: 2, CacheFor: 3}}})
	for range 7 {
		ask(t, web)
	}
	if n := bank.served.Load(); n != 6 {
		t.Errorf("7 requests made %d calls, want 2 for every third", n)
	}
}

func TestTroubles(t *testing.T) {
	a := start(t, Spec{Name: "web"})
	for _, tt := range []struct {
		trouble Trouble
		status  int
		says    string
	}{
		{NoTrouble, 200, "web is well"},
		{Error, 500, "defect"},
		{ResetBefore, 0, ""},
		{ResetAmid, 0, ""},
		{ResetAfter, 0, ""},
		{Cut, 0, "unexpected EOF"},
		{Garbage, 0, "malformed"},
		{HugeHead, 0, "server response headers exceeded"},
		{CloseReused, 200, "web is well"},
		{Large, 200, "\x00"},
	} {
		a.Misbehave(tt.trouble)
		if status, text := ask(t, a); status != tt.status || !strings.Contains(text, tt.says) {
			t.Errorf("%q: status %d %.80q, want %d with %q", tt.trouble, status, text, tt.status, tt.says)
		}
	}
}

// TestHang checks that a request that is never answered ends with the application.
func TestHang(t *testing.T) {
	a := start(t, Spec{Name: "web"})
	a.Misbehave(Hang)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { a.Close() }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Address()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("it answered %s", resp.Status)
	}
}

func TestMainEndsWithItsInput(t *testing.T) {
	in, give := io.Pipe()
	take, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Main(in, out) }()
	if _, err := io.WriteString(give, `{"Name": "web", "Host": "127.0.0.1"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	address := make([]byte, len("127.0.0.1:"))
	if _, err := io.ReadFull(take, address); err != nil || string(address) != "127.0.0.1:" {
		t.Fatalf("it said %q, %v", address, err)
	}
	go io.Copy(io.Discard, take)
	give.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	out.Close()
	if err := Main(strings.NewReader("{"), io.Discard); err == nil {
		t.Error("no error for a Spec that is cut")
	}
}
