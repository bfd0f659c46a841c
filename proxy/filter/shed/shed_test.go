package shed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter/shed"
)

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		answer shed.Answer
		call   bool
		want   string
	}{
		{shed.Answer{Status: 503}, false, "503 [{x-envoy-overloaded true}]"},
		{shed.Answer{Status: 429, RetryAfter: time.Second}, false, "429 [{x-envoy-overloaded true} {retry-after 1}]"},
		{shed.Answer{Status: 503, RetryAfter: time.Millisecond}, false, "503 [{x-envoy-overloaded true} {retry-after 1}]"},
		{shed.Answer{Status: 503, RetryAfter: 1001 * time.Millisecond}, false, "503 [{x-envoy-overloaded true} {retry-after 2}]"},
		{shed.Answer{Status: 503, RetryAfter: 250 * time.Millisecond}, true, "503 [{x-envoy-overloaded true} {retry-after 1} {grpc-retry-pushback-ms 250}]"},
		{shed.Answer{Status: 503, RetryAfter: time.Microsecond}, true, "503 [{x-envoy-overloaded true} {retry-after 1} {grpc-retry-pushback-ms 1}]"},
	} {
		a := tt.answer.To(fault.RouteOverflow, "why", tt.call)
		if got := fmt.Sprint(a.HTTPStatus(), a.Fields); got != tt.want || a.Why.Reason != "why" || a.Flag() != fault.RouteOverflow.Flag() {
			t.Errorf("%+v: %s (%v), want %s", tt.answer, got, a.Why, tt.want)
		}
	}
}
