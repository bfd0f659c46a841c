package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// isKey reports whether -c names a key of Consul's key-value store, not a file.
func isKey(file string) bool {
	return strings.HasPrefix(file, "consul://") || strings.HasPrefix(file, "consul+https://")
}

// openKey opens the key that -c names. The token is that of the URL's token_file, or
// of CONSUL_HTTP_TOKEN.
func openKey(url string) (*consul.KV, error) {
	location, err := consul.ParseKVURL(url, os.Getenv("CONSUL_HTTP_TOKEN"))
	if err != nil {
		return nil, err
	}
	return consul.NewKV(location)
}

// readKey makes the configuration of a key's value. Its mistakes have the places that
// they have in the value.
func readKey(ctx context.Context, url string) (*config.Config, error) {
	kv, err := openKey(url)
	if err != nil {
		return nil, err
	}
	defer kv.Close()
	value, err := kv.Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := config.Parse(url, value)
	if err != nil {
		return nil, err
	}
	return c, c.CheckFiles()
}

// watchKey watches a key. That it can't be asked for, or is gone, is no change: the
// configuration that runs stays, and warn is told.
func watchKey(url string) func(context.Context, func(), func(error)) {
	return func(ctx context.Context, changed func(), warn func(error)) {
		kv, err := openKey(url)
		if err != nil { // it was read before
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
}
