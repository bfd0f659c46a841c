package hop

import (
	"math/bits"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	all := All()
	if len(all) != len(flags) || all[len(all)-1]<<1 != lastFlag {
		t.Fatalf("%d flags, %d rows in their table", len(all), len(flags))
	}
	seen := map[string]bool{}
	for _, f := range all {
		if bits.OnesCount64(uint64(f)) != 1 || f.Code() == "" || f.Hint() == "" || seen[f.Code()] {
			t.Errorf("flag %b: code %q, hint %q: each is one bit with a code of its own and a hint", f, f.Code(), f.Hint())
		}
		seen[f.Code()] = true
	}
	for code, f := range map[string]Flags{
		"UH": NoHealthyUpstream, "UF": UpstreamConnectionFailure, "UPE": UpstreamProtocolError, "DC": DownstreamClosed,
		"DPE": DownstreamProtocolError, "IH": InvalidHeader, "UAEX": Unauthorized, "OM": Overload, "NR": NoRoute, "UT": UpstreamTimeout,
	} {
		if f.Code() != code || f.String() != code {
			t.Errorf("%s is %q", code, f.Code())
		}
	}
	set := RetriesExhausted | UpstreamConnectionFailure
	if set.String() != "UF,URX" || set.First() != UpstreamConnectionFailure || set.Code() != "UF" {
		t.Errorf("set %q, first %q", set, set.First())
	}
	if none := Flags(0); none.String() != "" || none.Code() != "" || none.Hint() != "" || none.First() != 0 {
		t.Error("the empty set says something")
	}
}

func TestFailed(t *testing.T) {
	cases := []struct {
		name string
		hop  Hop
		want bool
	}{
		{"200", Hop{Status: 200}, false},
		{"404 without a route", Hop{Status: 404, Flags: NoRoute}, false},
		{"499 and gone", Hop{Status: 0, Flags: DownstreamClosed}, false},
		{"400 refused", Hop{Status: 400, Flags: DownstreamProtocolError}, false},
		{"500", Hop{Status: 500}, true},
		{"200, then cut", Hop{Status: 200, Flags: UpstreamConnectionClosed}, true},
		{"refused", Hop{Status: 503, Flags: UpstreamConnectionFailure}, true},
		{"gRPC, UNAVAILABLE", Hop{Status: 200, GRPC: true, GRPCStatus: GRPCStatusOf(14)}, true},
		{"gRPC, NOT_FOUND", Hop{Status: 200, GRPC: true, GRPCStatus: GRPCStatusOf(5)}, false},
	}
	for _, tc := range cases {
		if got := tc.hop.Failed(); got != tc.want {
			t.Errorf("%s: Failed is %t", tc.name, got)
		}
	}
}

func TestSlow(t *testing.T) {
	slow, never := &Labels{Slow: time.Second}, &Labels{}
	cases := []struct {
		hop  Hop
		want bool
	}{
		{Hop{Labels: slow, End: time.Second}, true},
		{Hop{Labels: slow, End: time.Second - 1}, false},
		{Hop{Labels: never, End: time.Hour}, false},
		{Hop{Labels: slow, End: time.Hour, Kind: KindTunnel}, false},
	}
	for i, tc := range cases {
		if got := tc.hop.Slow(); got != tc.want {
			t.Errorf("case %d: Slow is %t", i, got)
		}
	}
}

func TestText(t *testing.T) {
	var h Hop
	h.Set(&h.Path, []byte("/a"))
	h.SetString(&h.Host, "web")
	long := strings.Repeat("x", MaxText+1)
	h.SetString(&h.Query, long)
	h.Set(&h.UserAgent, []byte(long))
	for _, tc := range []struct {
		text Text
		want string
	}{
		{h.Path, "/a"}, {h.Host, "web"}, {h.Query, long[1:]}, {h.UserAgent, long[1:]}, {h.RequestID, ""},
	} {
		if got := h.String(tc.text); got != tc.want || tc.text.Len() != len(tc.want) {
			t.Errorf("%d bytes, want %.10q (%d)", len(got), tc.want, len(tc.want))
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	h := example()
	c := h.Clone()
	if c.Size() < len(h.text) {
		t.Errorf("Size %d of a clone with %d bytes of text", c.Size(), len(h.text))
	}
	plain := *c
	if plain.TLS = nil; plain.Size() >= c.Size() {
		t.Errorf("Size %d without TLS, %d with it", plain.Size(), c.Size())
	}
	h.text[0], h.Attempts[0].Endpoint = '!', "other"
	if c.String(c.MethodText) != "BREW" || c.Attempts[0].Endpoint != "127.0.0.1:4003" || c.Labels != h.Labels {
		t.Errorf("the clone changed with its original: %+v", c)
	}
}

func TestPoolGivesEmptyHops(t *testing.T) {
	var p Pool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				h := p.Get()
				if h.Status != 0 || h.Labels != nil || len(h.Attempts) != 0 || len(h.text) != 0 || h.LastAttempt() != nil {
					t.Errorf("the pool gave a used hop: %+v", h)
				}
				if a := h.Attempt(); *a != (Attempt{}) {
					t.Errorf("a used attempt: %+v", a)
				}
				h.Labels, h.Status = &Labels{}, 200
				h.LastAttempt().Endpoint = "127.0.0.1:1"
				h.SetString(&h.Path, "/a")
				p.Put(h)
			}
		})
	}
	wg.Wait()
	big := &Hop{}
	big.SetString(&big.Path, strings.Repeat("x", MaxText))
	big.SetString(&big.Query, strings.Repeat("x", MaxText))
	big.Status = 200
	p.Put(big)
	if big.Status != 200 {
		t.Error("a hop that grew large was kept")
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	var p Pool
	path := []byte("/path")
	n := testing.AllocsPerRun(1000, func() {
		h := p.Get()
		h.Set(&h.Path, path)
		h.Attempt().Status = 200
		p.Put(h)
	})
	if n >= 1 { // the race detector empties pools now and then
		t.Errorf("%v allocations", n)
	}
}

func TestIDs(t *testing.T) {
	trace, span := TraceID{0xab, 15: 1}, SpanID{7: 0xcd}
	for got, want := range map[string]string{
		trace.String():                       "ab000000000000000000000000000001",
		span.String():                        "00000000000000cd",
		string(trace.AppendHex([]byte("t"))): "tab000000000000000000000000000001",
		string(span.AppendHex([]byte("s"))):  "s00000000000000cd",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for b := range 256 {
		trace, span := TraceID{}, SpanID{byte(b), 3: byte(b), 7: byte(b)}
		for i := range trace {
			trace[i] = byte(b + 15 - i)
		}
		if got := string(trace.AppendHex(nil)); got != trace.String() {
			t.Errorf("%s, want %s", got, trace)
		}
		if got := string(span.AppendHex(nil)); got != span.String() {
			t.Errorf("%s, want %s", got, span)
		}
	}
	if trace.IsZero() || span.IsZero() || !(TraceID{}).IsZero() || !(SpanID{}).IsZero() {
		t.Error("IsZero")
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		OriginRelayed.String(): "relayed", OriginNone.String(): "", Outbound.String(): "outbound",
		HTTP11.String(): "HTTP/1.1", HTTP2.Number(): "2", KeepSlow.String(): "slow",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
