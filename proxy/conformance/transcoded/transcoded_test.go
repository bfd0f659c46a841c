package transcoded_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSameAsEnvoy: what Envoy's transcoder does with requests, hopscope does, but for the
// differences that stay.
func TestSameAsEnvoy(t *testing.T) {
	backends.Require(t, "envoy")
	theirSet, ourSet, service := descriptors(t)
	shop := startShop(t, service)
	theirs, ours := startTheirs(t, theirSet, shop), startOurs(t, ourSet, shop)
	answered := 0
	eachClient(t, func(t *testing.T, client *http.Client, http2 bool) {
		for _, v := range variants {
			for _, q := range v.requests {
				if q.method == "HEAD" && http2 {
					continue // Envoy's answer has content, and the client would complain of that
				}
				want, got := ask(t, client, theirs[v.name], &q), ask(t, client, ours[v.name], &q)
				if got.Status == 200 {
					answered++
				}
				if diff := cmp.Diff(want.as(&q, got), got); diff != "" {
					t.Errorf("%s: %s\n(-Envoy +hopscope):\n%s", v.name, q.String(), diff)
				}
			}
		}
		for _, d := range differences {
			for _, q := range d.requests {
				want, got := ask(t, client, theirs[d.under], &q), ask(t, client, ours[d.under], &q)
				same := want.as(&q, got)
				switch {
				case cmp.Equal(same, got):
					t.Errorf("%s: %s\nboth do the same now: %+v", d.name, q.String(), got)
				case want.Status != d.theirs || got.Status != d.ours || d.alike && !cmp.Equal(same.Values, got.Values, cmpopts.EquateEmpty()):
					t.Errorf("%s: %s\nEnvoy:    %+v\nhopscope: %+v", d.name, q.String(), want, got)
				}
			}
		}
	})
	if answered < 150 {
		t.Errorf("%d requests were answered, which says too little", answered)
	}
}

// TestBrokenContentIsCut: content that passes as it is can't say that the call failed in the
// middle of it, so that the client must see that it breaks off.
func TestBrokenContentIsCut(t *testing.T) {
	_, set, service := descriptors(t)
	ours := startOurs(t, set, startShop(t, service))
	eachClient(t, func(t *testing.T, client *http.Client, _ bool) {
		q := get("/files?id=late-8")
		if got := ask(t, client, ours[plain], &q); got.Status != 200 || !got.Broken || got.Raw != "0,\n" {
			t.Errorf("%+v", got)
		}
	})
}

// eachClient runs a test with a client of HTTP/1.1 and one of HTTP/2.
func eachClient(t *testing.T, test func(t *testing.T, client *http.Client, http2 bool)) {
	for _, speaks := range []proxytest.Side{proxytest.H1C, proxytest.H2C} {
		t.Run(speaks.Name, func(t *testing.T) {
			transport := &http.Transport{Protocols: speaks.Protocols(), DisableCompression: true}
			defer transport.CloseIdleConnections()
			test(t, &http.Client{Transport: transport, Timeout: proxytest.Patience}, speaks.HTTP2)
		})
	}
}

// outcome is what became of a request.
type outcome struct {
	Status      int
	ContentType string
	// Values are the JSON values of the content: those in an array or on lines, of a stream.
	Values []any
	// Raw is content that is no JSON.
	Raw string
	// Metadata is the server's metadata, and GRPC the field grpc-status.
	Metadata, GRPC string
	// Broken says that the content broke off.
	Broken bool
}

// as is what Envoy did, in the form in which hopscope does it. What Envoy finds wrong with
// a request it says in text/plain, hopscope in google.rpc.Status; and Envoy has no
// response_body, so that its messages are whole.
func (o outcome) as(q *request, got outcome) outcome {
	own := o.ContentType == "text/plain" && (o.Status == 400 || o.Status == 404)
	if own && got.ContentType == "application/json" && got.Status == o.Status && len(got.Values) == 1 {
		o.ContentType, o.Raw, o.Values = got.ContentType, got.Raw, got.Values
	}
	if q.part == "" || o.Status != 200 || len(o.Values) != 1 {
		return o
	}
	whole, _ := o.Values[0].(map[string]any)
	if part, ok := whole[q.part]; ok {
		o.Values = []any{part}
	} else if len(got.Values) == 1 && isEmpty(got.Values[0]) {
		o.Values = got.Values
	}
	return o
}

// isEmpty reports whether a value is that of a field that is not set.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return value == "0" || value == "NONE"
}

func ask(t *testing.T, client *http.Client, address string, q *request) (o outcome) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+address, strings.NewReader(q.content))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(q.target, "?")
	r.URL = &url.URL{Scheme: "http", Host: address, Opaque: path, RawQuery: query}
	r.Header.Set("Content-Type", "application/json")
	r.Close = q.method == "HEAD" // Envoy's answer has content, which HTTP/1.1 forbids
	for i := 0; i < len(q.fields); i += 2 {
		r.Header.Set(q.fields[i], q.fields[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	o = outcome{
		Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Metadata: resp.Header.Get("X-Metadata"),
		GRPC: resp.Header.Get("Grpc-Status"), Broken: err != nil,
	}
	if o.GRPC == "0" {
		o.GRPC = "" // Envoy leaves it there, which tells clients of HTTP nothing
	}
	o.Values, o.Raw = values(content, q.streamed)
	return o
}

// values takes JSON apart; what is none is returned as it is. Events are what their lines
// of data have.
func values(content []byte, streamed bool) (all []any, raw string) {
	text := bytes.ReplaceAll(content, []byte("\n\n"), []byte("\n"))
	if streamed && bytes.HasPrefix(text, []byte("data: ")) {
		text = bytes.ReplaceAll(text, []byte("\nevent: error\n"), []byte("\n"))
		text = bytes.ReplaceAll(append([]byte("\n"), text...), []byte("\ndata: "), []byte("\n"))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var one any
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, string(content)
		}
		all = append(all, one)
	}
	if streamed && len(all) == 1 {
		if list, ok := all[0].([]any); ok {
			all = list
		}
	}
	return all, ""
}
