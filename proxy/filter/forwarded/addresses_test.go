package forwarded

import (
	"fmt"
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
)

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"accept", "*/*", "[] true"},
		{"x-forwarded-for", "203.0.113.9", "[203.0.113.9] true"},
		{"X-Forwarded-For", " 10.0.0.1:80 ,, [2001:db8::1]:443,::ffff:192.0.2.1", "[10.0.0.1 2001:db8::1 192.0.2.1] true"},
		{"x-forwarded-for", "10.0.0.1, unknown", "[10.0.0.1] false"},
		{"x-real-ip", "203.0.113.9", "[203.0.113.9] true"},
		{"forwarded", "proto=https", "[] true"},
		{"forwarded", `by=10.0.0.9; For="[2001:db8::1]:443", for=192.0.2.1`, "[2001:db8::1 192.0.2.1] true"},
		{"forwarded", "for=_hidden", "[] false"},
		{"forwarded", "for", "[] false"},
	} {
		var h message.Head
		h.Add(message.FieldByName([]byte(tt.name)), tt.name, tt.value)
		all, ok := Addresses(&h)
		if got := fmt.Sprint(all, ok); got != tt.want {
			t.Errorf("%s: %s: %s, want %s", tt.name, tt.value, got, tt.want)
		}
	}
}
