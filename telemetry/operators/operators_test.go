package operators

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 89012345, time.UTC)

// whole is a hop that has all that there is: rewritten, encrypted, a gRPC call with two
// attempts and a field that was recorded.
func whole() *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: "web", Route: "/api/", Cluster: "api"}, Trace: hop.TraceID{0x4b, 0xf9, 0x2f, 15: 0x36},
		Start: began, End: 20 * time.Millisecond, FirstByte: 19500 * time.Microsecond, Method: "POST", Version: hop.HTTP2, Scheme: "https",
		Client: "192.0.2.7", Peer: "192.0.2.7:5123", Status: 200, GRPC: true, GRPCStatus: hop.GRPCStatusOf(14),
		Flags: hop.UpstreamConnectionFailure | hop.RetriesExhausted, Details: "upstream_reset", BytesIn: 12, BytesOut: 98,
		TLS: &hop.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "shop.example", Peer: "spiffe://mesh/ns/default/front", PeerSubject: "CN=front"},
		Attempts: []hop.Attempt{
			{Endpoint: "10.0.0.3:3000", Flags: hop.UpstreamReset, Reason: "refused the stream", End: time.Millisecond},
			{Endpoint: "[2001:db8::1]:3000", Version: hop.HTTP2, Status: 200, Flags: hop.UpstreamConnectionFailure, Reason: "connection refused",
				Start: time.Millisecond, Connected: 2 * time.Millisecond, Sent: 3 * time.Millisecond, FirstByte: 19 * time.Millisecond, End: 20 * time.Millisecond,
				TLS: &hop.TLS{Version: "1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Peer: "spiffe://mesh/api", PeerSubject: "CN=api"}},
		},
	}
	for text, s := range map[*hop.Text]string{
		&h.Host: "shop.example", &h.Path: "/api/items", &h.Query: "page=2&token=secret", &h.UserAgent: "curl/8.5",
		&h.RequestID: "6e1b3d9a", &h.TraceState: "a=1", &h.GRPCMessage: `no "backend"`,
	} {
		h.SetString(text, s)
	}
	h.Ask("https", []byte("api.test"), []byte("/v2/items"), []byte("page=2"))
	h.Record(1)
	h.SetString(&h.Recorded[0], "203.0.113.9")
	return h
}

// nothing is a hop that has next to nothing.
func nothing() *hop.Hop { return &hop.Hop{Labels: &hop.Labels{}, Start: began} }

// shown is what the only operator of a format appends.
func shown(t *testing.T, format string, h *hop.Hop) string {
	t.Helper()
	pieces, err := Parse(format)
	if err != nil || len(pieces) != 2 {
		t.Fatalf("%s: %v, %v", format, pieces, err)
	}
	value, err := pieces[0].Value(new(Recorded))
	if err != nil {
		t.Fatal(err)
	}
	b, kind := value([]byte("> "), h)
	got, ok := strings.CutPrefix(string(b), "> ")
	switch {
	case !ok || kind == None && got != "":
		t.Fatalf("%s: %q of kind %d", format, b, kind)
	case kind == None:
		return "-"
	case kind == Number:
		return "#" + got
	}
	return got
}

// tests have a row or more for each operator: what it is for a hop that has all, and for one
// that has nothing. "-" is none, and a number begins with "#".
var tests = []struct{ format, whole, nothing string }{
	{"%ACCESS_LOG_TYPE%", "DownstreamEnd", "DownstreamEnd"},
	{"%BYTES_RECEIVED%", "#12", "#0"},
	{"%BYTES_SENT%", "#98", "#0"},
	{"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%", "#20", "#0"},
	{"%COMMON_DURATION(US_CX_BEG:US_CX_END:us)%", "#1000", "-"},
	{"%COMMON_DURATION(US_TX_BEG:US_RX_BEG)%", "#16", "-"},
	{"%COMMON_DURATION(US_RX_BEG:US_RX_END:ns)%", "#1000000", "-"},
	{"%COMMON_DURATION(DS_TX_BEG:DS_TX_END:us)%", "#500", "-"},
	{"%COMMON_DURATION(DS_TX_END:DS_RX_BEG:us)%", "-", "#0"},
	{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "192.0.2.7:5123", "-"},
	{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "192.0.2.7", "-"},
	{"%DOWNSTREAM_DIRECT_REMOTE_PORT%", "#5123", "-"},
	{"%DOWNSTREAM_PEER_SUBJECT%", "CN=front", "-"},
	{"%DOWNSTREAM_PEER_URI_SAN%", "spiffe://mesh/ns/default/front", "-"},
	{"%DOWNSTREAM_REMOTE_ADDRESS%", "192.0.2.7:5123", "-"},
	{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "192.0.2.7", "-"},
	{"%DOWNSTREAM_REMOTE_PORT%", "#5123", "-"},
	{"%DOWNSTREAM_TLS_CIPHER%", "TLS_AES_128_GCM_SHA256", "-"},
	{"%DOWNSTREAM_TLS_VERSION%", "TLSv1.3", "-"},
	{"%DURATION%", "#20", "#0"},
	{"%ENVIRONMENT(HOPSCOPE_TEST_ABSENT:none)%", "none", "none"},
	{"%ENVIRONMENT(HOPSCOPE_TEST_ABSENT)%", "-", "-"},
	{"%ENVIRONMENT(HOPSCOPE_TEST_PRESENT:none)%", "here", "here"},
	{"%GRPC_STATUS%", "Unavailable", "-"},
	{"%GRPC_STATUS(CAMEL_STRING)%", "Unavailable", "-"},
	{"%GRPC_STATUS(SNAKE_STRING)%", "UNAVAILABLE", "-"},
	{"%GRPC_STATUS(NUMBER)%", "#14", "-"},
	{"%GRPC_STATUS_NUMBER%", "#14", "-"},
	{"%HOSTNAME%", hostname(), hostname()},
	{"%PROTOCOL%", "HTTP/2", "-"},
	{"%REQ(:METHOD)%", "POST", "-"},
	{"%REQ(:PATH)%", "/v2/items?page=2", "-"},
	{"%REQ(:path):5%", "/v2/i", "-"},
	{"%REQ(X-ENVOY-ORIGINAL-PATH)%", "/api/items?page=2&token=REDACTED", "-"},
	{"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/api/items?page=2&token=REDACTED", "-"},
	{"%REQ(:AUTHORITY)%", "shop.example", "-"},
	{"%REQ(HOST)%", "shop.example", "-"},
	{"%REQ(:SCHEME)%", "https", "-"},
	{"%REQ(USER-AGENT):4%", "curl", "-"},
	{"%REQ(X-REQUEST-ID)%", "6e1b3d9a", "-"},
	{"%REQ(TRACESTATE)%", "a=1", "-"},
	{"%REQ(X-FORWARDED-FOR)%", "203.0.113.9", "-"},
	{"%REQ_WITHOUT_QUERY(:PATH)%", "/v2/items", "-"},
	{"%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/api/items", "-"},
	{"%REQ_WITHOUT_QUERY(:METHOD)%", "POST", "-"},
	{"%REQUESTED_SERVER_NAME%", "shop.example", "-"},
	{"%RESP(:STATUS)%", "#200", "#0"},
	{"%RESP(GRPC-STATUS)%", "#14", "-"},
	{"%RESP(GRPC-MESSAGE)%", `no "backend"`, "-"},
	{"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "#16", "-"},
	{"%RESPONSE_CODE%", "#200", "#0"},
	{"%RESPONSE_CODE_DETAILS%", "upstream_reset", "-"},
	{"%RESPONSE_DURATION%", "#19", "-"},
	{"%RESPONSE_FLAGS%", "UF,URX", "-"},
	{"%RESPONSE_FLAGS_LONG%", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded", "-"},
	{"%RESPONSE_TX_DURATION%", "#1", "-"},
	{"%ROUTE_NAME%", "/api/", "-"},
	{"%START_TIME%", "2026-03-04T05:06:07.089Z", "2026-03-04T05:06:07.089Z"},
	{"%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "2026/03/04T05:06:07+0000 1772600767", "2026/03/04T05:06:07+0000 1772600767"},
	{"%START_TIME(%s.%3f %f %9f)%", "1772600767.089 089012345 089012345", "1772600767.089 089012345 089012345"},
	{"%START_TIME(%F %T %D %R %e %j %b %B %a %A %I %p %y %Z %%)%", "2026-03-04 05:06:07 03/04/26 05:06  4 063 Mar March Wed Wednesday 05 AM 26 UTC %",
		"2026-03-04 05:06:07 03/04/26 05:06  4 063 Mar March Wed Wednesday 05 AM 26 UTC %"},
	{"%TRACE_ID%", "4bf92f00000000000000000000000036", "-"},
	{"%UPSTREAM_CLUSTER%", "api", "-"},
	{"%UPSTREAM_CLUSTER_RAW%", "api", "-"},
	{"%UPSTREAM_HOST%", "[2001:db8::1]:3000", "-"},
	{"%UPSTREAM_PEER_SUBJECT%", "CN=api", "-"},
	{"%UPSTREAM_PEER_URI_SAN%", "spiffe://mesh/api", "-"},
	{"%UPSTREAM_PROTOCOL%", "HTTP/2", "-"},
	{"%UPSTREAM_REMOTE_ADDRESS%", "[2001:db8::1]:3000", "-"},
	{"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "2001:db8::1", "-"},
	{"%UPSTREAM_REMOTE_PORT%", "#3000", "-"},
	{"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "#2", "#0"},
	{"%UPSTREAM_TLS_CIPHER%", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "-"},
	{"%UPSTREAM_TLS_VERSION%", "TLSv1.2", "-"},
	{"%UPSTREAM_TRANSPORT_FAILURE_REASON%", "connection refused", "-"},
}

func TestValues(t *testing.T) {
	t.Setenv("HOPSCOPE_TEST_PRESENT", "here")
	all, seen := whole(), map[string]bool{}
	for _, tt := range tests {
		name, _, _ := strings.Cut(strings.Trim(tt.format, "%"), "(")
		seen[name] = true
		if got := shown(t, tt.format, all); got != tt.whole {
			t.Errorf("%s: %q, want %q", tt.format, got, tt.whole)
		}
		if got := shown(t, tt.format, nothing()); got != tt.nothing {
			t.Errorf("%s of nothing: %q, want %q", tt.format, got, tt.nothing)
		}
	}
	names := Names()
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%%%s%% is not tested", name)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("the names are not sorted: %q", names)
	}
}

func TestParse(t *testing.T) {
	const format = "a%%b %REQ(X-A?Y):10%%TRACE_ID% 5%%"
	want := []Piece{
		{Text: "a%b ", Name: "REQ", Argument: "X-A?Y", Most: 10, called: true},
		{Name: "TRACE_ID", Most: -1},
		{Text: " 5%", Most: -1},
	}
	if got, err := Parse(format); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := Parse(""); err != nil || !slices.Equal(got, []Piece{{Most: -1}}) {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}

// Fields that a Hop does not have are asked for once, in the order in which they come.
func TestRecorded(t *testing.T) {
	pieces, err := Parse("%REQ(Referer)%%RESP(Server)%%REQ(X-A?Referer)%%RESP(server)%%RESP(x-a)%%REQ(:PATH)%")
	if err != nil {
		t.Fatal(err)
	}
	var recorded Recorded
	for i := range pieces[:len(pieces)-1] {
		p := &pieces[i]
		if _, err := p.Value(&recorded); err != nil {
			t.Error(err)
		}
		if _, err := p.Value(nil); (err == nil) != (p.Argument == ":PATH") {
			t.Errorf("%s(%s) where nothing is recorded: %v", p.Name, p.Argument, err)
		}
	}
	want := Recorded{{Name: "referer"}, {Name: "server", Response: true}, {Name: "x-a"}, {Name: "x-a", Response: true}}
	if diff := cmp.Diff(want, recorded); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ format, want string }{
		{"%DYNAMIC_METADATA(a:b)%", "there is no command operator %DYNAMIC_METADATA%"},
		{"%START_TIME", "%START_TIME is not closed by %"},
		{"100%", "write %% for a per cent sign"},
		{"100% of", `after "% of" comes no command operator`},
		{"%REQ(:METHOD%", "the parenthesis of %REQ( is not closed"},
		{"%REQ(:METHOD):x%", "%REQ:x has no length"},
		{"%REQ(:METHOD):5", "has no length"},
		{"%REQ()%", "expected the name of a header field"},
		{"%REQ(:QUERY)%", `%REQ(:QUERY)%: ":query" is no name of a header field; there are :method`},
		{"%REQ(A?Cookie)%", "cookie may hold credentials, and is not logged"},
		{"%RESP(Set-Cookie)%", "set-cookie may hold credentials"},
		{"%PROTOCOL(1)%", "%PROTOCOL% takes no argument"},
		{"%START_TIME(%Q)%", "there is no conversion %Q; there are %Y"},
		{"%START_TIME(a%)%", "the format ends with a per cent sign"},
		{"%COMMON_DURATION(DS_RX_BEG)%", "expected START:END:PRECISION"},
		{"%COMMON_DURATION(DS_RX_BEG:X:ms)%", "there is no time point X; there are DS_RX_BEG, DS_TX_BEG"},
		{"%GRPC_STATUS(x)%", "expected CAMEL_STRING, SNAKE_STRING or NUMBER"},
		{"%ENVIRONMENT()%", "expected the name of a variable"},
	} {
		pieces, err := Parse(tt.format)
		if err == nil {
			_, err = pieces[0].Value(new(Recorded))
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.format, err, tt.want)
		}
	}
}

// Whatever a format is, its pieces put together are the format, and a value only appends, to
// no more than its length.
func FuzzParse(f *testing.F) {
	for _, tt := range tests {
		f.Add(tt.format, "a")
	}
	f.Add("%REQ(A?B):10%%%", "%")
	f.Add("100%", "")
	bare := nothing()
	f.Fuzz(func(t *testing.T, format, told string) {
		pieces, err := Parse(format)
		if err != nil {
			return
		}
		h := whole()
		h.SetString(&h.UserAgent, told)
		h.SetString(&h.Recorded[0], told)
		again := ""
		for i := range pieces {
			p := &pieces[i]
			if again += strings.ReplaceAll(p.Text, "%", "%%"); p.Name == "" {
				if i < len(pieces)-1 {
					t.Fatalf("%q has a piece without an operator before its end", format)
				}
				break
			}
			if again += "%" + p.Name; p.called {
				again += "(" + p.Argument + ")"
			}
			if p.Most >= 0 {
				again += ":" + strconv.Itoa(p.Most)
			}
			again += "%"
			value, err := p.Value(new(Recorded))
			if err != nil {
				continue
			}
			for _, h := range []*hop.Hop{h, bare} {
				b, kind := value([]byte("> "), h)
				got, ok := strings.CutPrefix(string(b), "> ")
				if !ok || kind == None && got != "" || kind == Text && p.Most >= 0 && len(got) > p.Most {
					t.Fatalf("%q: %%%s(%s):%d%% appends %q of kind %d", format, p.Name, p.Argument, p.Most, b, kind)
				}
			}
		}
		if got, err := Parse(again); err != nil || !slices.Equal(got, pieces) {
			t.Fatalf("%q is %+v, and put together again %+v, %v", format, pieces, got, err)
		}
	})
}
