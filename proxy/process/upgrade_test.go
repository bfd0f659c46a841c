package process

import (
	"fmt"
	"os"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
)

func TestUpgradeSocketOf(t *testing.T) {
	uid := os.Getuid()
	for _, tt := range []struct{ admin, key, want string }{
		{"127.0.0.1:9901", "", fmt.Sprintf("@hopscope-%d-127.0.0.1:9901", uid)},
		{"127.0.0.1:0", "", ""},
		{"off", "", ""},
		{"off", "/run/hopscope.sock", "/run/hopscope.sock"},
		{"127.0.0.1:9901", "@x", "@x"},
	} {
		c := config.New()
		c.Admin.Address, c.UpgradeSocket = tt.admin, tt.key
		if got := upgradeSocket(c); got != tt.want {
			t.Errorf("admin %s, upgrade_socket %q: %q, want %q", tt.admin, tt.key, got, tt.want)
		}
	}
}
