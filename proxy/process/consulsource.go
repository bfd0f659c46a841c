package process

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// isKey reports whether a location is a key in Consul, not a file.
func isKey(location string) bool {
	return strings.HasPrefix(location, "consul://") || strings.HasPrefix(location, "consul+https://")
}

func consulSource(url string, e *config.Environment) Source {
	location, _, _ := strings.Cut(url, "?")
	return Source{
		Name:     "the key",
		Location: location,
		Read:     func(ctx context.Context) (*config.Config, error) { return readKey(ctx, url, e) },
		Watch: func(ctx context.Context, changed func(), warn func(error)) {
			watchKey(ctx, url, changed, warn)
		},
	}
}

// openKey opens the key at url. The token is in the file that the URL's token_file
// names, or in CONSUL_HTTP_TOKEN.
func openKey(url string) (*consul.KV, error) {
	location, err := consul.ParseKVURL(url, os.Getenv("CONSUL_HTTP_TOKEN"))
	if err != nil {
		return nil, err
	}
	return consul.NewKV(location)
}

// readKey parses the key's value. Errors name line and column in the value.
func readKey(ctx context.Context, url string, e *config.Environment) (*config.Config, error) {
	kv, err := openKey(url)
	if err != nil {
		return nil, err
	}
	defer kv.Close()
	value, err := kv.Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := e.Parse(url, value)
	if err != nil {
		return nil, err
	}
	return c, c.CheckFiles()
}

// watchKey watches the key until ctx is done. A key that is gone, or a Consul that does
// not answer, is no change: it calls warn, and the configuration that runs stays.
func watchKey(ctx context.Context, url string, changed func(), warn func(error)) {
	kv, err := openKey(url)
	if err != nil { // though it could be read before
		warn(err)
		return
	}
	defer kv.Close()
	kv.Run(ctx, func(_ []byte, err error) {
		if err != nil {
			warn(err)
			return
		}
		changed()
	})
}
