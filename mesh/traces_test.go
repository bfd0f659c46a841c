package mesh

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listed is a trace in a proxy's list.
func listed(n, service string, after time.Duration, failed bool, failedHop, reason string) Summary {
	var culprit *Blamed
	if failedHop == "bank" {
		culprit = &Blamed{Service: "bank", Part: "application", Kind: "connect_refused", Edge: "wrong", Caller: "payments"}
	}
	return Summary{Culprit: culprit, TraceID: strings.Repeat("0", 31) + n, Service: service, Method: "GET", Host: "shop", Path: "/" + service, Start: epoch.Add(after),
		DurationNS: 100*time.Millisecond - after%time.Second, Status: 200, Failed: failed, FailedHop: failedHop, Reason: reason, Hops: 1}
}

func lists(t *testing.T, all ...Summary) string {
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return says(t, string(text))
}

func TestTraces(t *testing.T) {
	web := lists(t, listed("1", "web", 0, true, "bank", "refused"), listed("2", "web", time.Second, false, "", ""), listed("3", "web", 2*time.Second, false, "", ""))
	orders := lists(t, listed("2", "orders", time.Second+time.Millisecond, true, "orders", "answered 500"), listed("1", "orders", time.Millisecond, true, "pay", "relayed"),
		listed("4", "batch", -time.Second, false, "", ""))
	strange := listed("5", "x", 0, false, "", "")
	strange.Hops = -1
	liar := lists(t, strange, listed("z", "x", 0, false, "", ""))
	l := newClient(t, orders, web, liar, says(t, "hello")).Traces(limited(t, patience), Query{Limit: 3})
	var got []string
	for _, s := range l.Traces {
		got = append(got, strings.Join([]string{s.TraceID[31:], s.Service, s.FailedHop, s.Reason}, " "))
		if want := map[string]int{"1": 2, "2": 2, "3": 1}[s.TraceID[31:]]; s.Hops != want || s.Failed != (s.FailedHop != "") {
			t.Errorf("%+v has not %d hops", s, want)
		}
	}
	if want := "3 web  |2 web orders answered 500|1 web bank refused"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if p := l.Peers; l.Answered() != 2 || p[2].Err == nil || !strings.HasPrefix(p[2].Err.Error(), "2 of the 2 traces of its answer were left out") || p[3].Err == nil {
		t.Errorf("%+v", p)
	}
	text := string(l.AppendText(nil))
	if want := "2026-03-04T05:06:07.000Z  200 in 100ms  web  GET shop/web\n  payments -> bank: refused\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}

func TestTracesQuery(t *testing.T) {
	asked := ""
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		io.WriteString(w, "[]")
	})
	c := newClient(t, address)
	l := c.Traces(limited(t, patience), Query{Failed: true, Slow: true, Service: "a&b", Culprit: "c", Since: 10 * time.Minute, Limit: 5})
	want := "/v1/traces?culprit=c&failed=1&limit=5&service=a%26b&since=10m0s&slow=1"
	if asked != want {
		t.Errorf("asked for %s, want %s", asked, want)
	}
	c.Traces(limited(t, patience), Query{Route: "/a", Status: "5xx", Flag: "UF", Min: time.Second, Max: time.Minute, Text: "x", Limit: 1})
	if want = "/v1/traces?flag=UF&limit=1&max=1m0s&min=1s&route=%2Fa&status=5xx&text=x"; asked != want {
		t.Errorf("asked for %s, want %s", asked, want)
	}
	if text := string(l.AppendText(nil)); text != "no traces\n1 proxy answered\n" {
		t.Errorf("%q", text)
	}
	if text, err := json.Marshal(l); err != nil || string(text) != `{"traces":[],"notes":[],"peers":[{"address":"`+address+`","service":"","instance":"","hops":0,"error":""}]}` {
		t.Errorf("%s, error %v", text, err)
	}
}

func FuzzTraces(f *testing.F) {
	f.Add([]byte(`[{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","service":"web","start":"2026-03-04T05:06:07Z","duration_ns":5,"status":503,"grpc_status":99,"failed":true,"failed_hop":"b\u001b","failure_reason":"x","culprit":{"service":"b\u001b","edge":"\u001b"},"hops":1}]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		all, err := decodeTraces(strings.NewReader(string(answer)), 64)
		l := &List{merge(all, 64), []Peer{{Address: "127.0.0.1:9901", Hops: len(all), Err: err}}}
		if text := string(l.AppendText(nil)); strings.ContainsAny(text, "\x1b\x07\r") {
			t.Fatalf("the text has control characters: %q", text)
		}
		if _, err := json.Marshal(l); err != nil {
			t.Fatal(err)
		}
	})
}
