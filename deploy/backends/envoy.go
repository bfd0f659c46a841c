package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Envoy starts an Envoy for the test, with one worker. The resources are what stands
// in static_resources, and are marshalled as JSON. Listeners are on port 0 of a loopback
// address; Addr tells which port they got.
func Envoy(tb testing.TB, resources any) *ProxyServer {
	tb.Helper()
	path := Require(tb, "envoy")
	dir := tb.TempDir()
	file, admin := filepath.Join(dir, "envoy.json"), filepath.Join(dir, "admin")
	type object map[string]any
	config, err := json.Marshal(object{
		"static_resources": resources,
		"admin":            object{"address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, config, 0o600); err != nil {
		tb.Fatal(err)
	}
	e := &ProxyServer{}
	e.Process = start(tb, "envoy", func() (command, error) {
		return command{
			path: path,
			args: []string{"-c", file, "--admin-address-path", admin, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"},
			ready: func(ctx context.Context) error {
				address, err := os.ReadFile(admin)
				if err != nil {
					return err
				}
				e.addresses, err = envoyListeners(ctx, strings.TrimSpace(string(address)))
				return err
			},
		}, nil
	})
	return e
}

// envoyListeners asks Envoy's admin for its listeners, once all of them are there.
func envoyListeners(ctx context.Context, admin string) (map[string]string, error) {
	if _, err := get(ctx, "http://"+admin+"/ready"); err != nil {
		return nil, err
	}
	body, err := get(ctx, "http://"+admin+"/listeners?format=json")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Listeners []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	listeners := map[string]string{}
	for _, l := range answer.Listeners {
		if l.Address.Socket.Port == 0 {
			return nil, fmt.Errorf("listener %s has no port yet", l.Name)
		}
		listeners[l.Name] = fmt.Sprintf("%s:%d", l.Address.Socket.Address, l.Address.Socket.Port)
	}
	return listeners, nil
}
