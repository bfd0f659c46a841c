package hop

import "testing"

func TestGRPCStatus(t *testing.T) {
	var none GRPCStatus
	if none.String() != "" || none.Code() != -1 || none.Describe() != "" || none.ServerError() || none.Failed() {
		t.Errorf("no status says %q", none.Describe())
	}
	for _, tt := range []struct {
		code           int
		words          string
		server, failed bool
	}{
		{0, "OK (0)", false, false}, {1, "CANCELLED (1)", false, true}, {2, "UNKNOWN (2)", true, true},
		{4, "DEADLINE_EXCEEDED (4)", true, true}, {5, "NOT_FOUND (5)", false, true},
		{8, "RESOURCE_EXHAUSTED (8)", false, true}, {12, "UNIMPLEMENTED (12)", true, true},
		{13, "INTERNAL (13)", true, true}, {14, "UNAVAILABLE (14)", true, true}, {15, "DATA_LOSS (15)", true, true},
		{16, "UNAUTHENTICATED (16)", false, true}, {17, "UNKNOWN (2)", true, true}, {-1, "UNKNOWN (2)", true, true},
	} {
		s := GRPCStatusOf(tt.code)
		if s.Describe() != tt.words || s.ServerError() != tt.server || s.Failed() != tt.failed {
			t.Errorf("%d: %q, server error %t, failed %t", tt.code, s.Describe(), s.ServerError(), s.Failed())
		}
		if h := (Hop{Status: 200, GRPC: true, GRPCStatus: s}); h.Failed() != tt.server {
			t.Errorf("%s: the hop failed: %t", s, h.Failed())
		}
	}
}

func TestGRPCReason(t *testing.T) {
	h := &Hop{GRPCStatus: GRPCStatusOf(14)}
	if got := h.GRPCReason(); got != "UNAVAILABLE (14)" {
		t.Errorf("without a message: %q", got)
	}
	h.SetString(&h.GRPCMessage, "no backend")
	if got := h.GRPCReason(); got != "UNAVAILABLE (14): no backend" {
		t.Errorf("with a message: %q", got)
	}
	h.GRPCStatus = 0
	if got := h.GRPCReason(); got != "" {
		t.Errorf("without a status: %q", got)
	}
}

func TestRPC(t *testing.T) {
	for _, tt := range []struct {
		path, service, method string
		ok                    bool
	}{
		{"/shop.Cart/Add", "shop.Cart", "Add", true}, {"/v1/shop.Cart/Add", "v1/shop.Cart", "Add", true},
		{"", "", "", false}, {"/", "", "", false}, {"//", "", "", false}, {"//a", "", "", false},
		{"/a", "", "", false}, {"/a/", "", "", false}, {"a/b", "", "", false}, {"*", "", "", false},
	} {
		service, method, ok := RPC([]byte(tt.path))
		if string(service) != tt.service || string(method) != tt.method || ok != tt.ok {
			t.Errorf("%q: %q %q %t", tt.path, service, method, ok)
		}
	}
}
