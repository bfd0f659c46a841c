package consul_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/discovery/consul"
)

type valueOrError struct {
	value string
	err   error
}

func watchKey(t *testing.T, kv *consul.KV) *record[valueOrError] {
	t.Helper()
	return watch(t, func(ctx context.Context, add func(valueOrError)) {
		kv.Run(ctx, func(value []byte, err error) { add(valueOrError{string(value), err}) })
	})
}

func openKV(t *testing.T, url, token string) *consul.KV {
	t.Helper()
	location, err := consul.ParseKVURL(url, token)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := consul.NewKV(location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kv.Close)
	return kv
}

func TestWatchesAKey(t *testing.T) {
	server := backends.Consul(t, backends.ConsulOptions{})
	put := func(value string) {
		t.Helper()
		if _, err := server.API(t).KV().Put(&api.KVPair{Key: "hopscope/web.yaml", Value: []byte(value)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	value := func(want string) func(valueOrError) bool {
		return func(v valueOrError) bool { return v.err == nil && v.value == want }
	}
	fails := func(says string) func(valueOrError) bool {
		return func(v valueOrError) bool {
			return v.err != nil && strings.Contains(v.err.Error(), says) && v.value == ""
		}
	}
	kv := openKV(t, "consul://"+server.Address+"/hopscope/web.yaml?dc=dc1", "")
	if _, err := kv.Get(t.Context()); err == nil || !strings.Contains(err.Error(), `no key "hopscope/web.yaml"`) {
		t.Errorf("a key that is not there: %v", err)
	}
	values := watchKey(t, kv)
	values.await(t, "no such key", fails("has no key"))
	put("one")
	values.await(t, "one", value("one"))
	if got, err := kv.Get(t.Context()); string(got) != "one" || err != nil {
		t.Errorf("Get: %q, %v", got, err)
	}
	put("two")
	values.await(t, "two", value("two"))
	put("")
	values.await(t, "empty", fails("is empty"))
	put("two")
	values.await(t, "two again", value("two"))
	if _, err := server.API(t).KV().Delete("hopscope/web.yaml", nil); err != nil {
		t.Fatal(err)
	}
	values.await(t, "deleted", fails("has no key"))
	big := strings.Repeat("x", 512<<10)
	put(big)
	values.await(t, "as big as Consul takes", value(big))
	server.Kill()
	values.await(t, "away", fails(server.Address))
	server.Restart(t)
	values.await(t, "forgotten", fails("has no key"))
	put("three")
	values.await(t, "three", value("three"))
}

func TestReadsAKeyWithAToken(t *testing.T) {
	server := guarded(t)
	pair := &api.KVPair{Key: "unrelated", Value: []byte("value")} // the one thing that blind may read
	if _, err := server.API(t).KV().Put(pair, nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(blind), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "consul://" + server.Address + "/unrelated"
	for _, tt := range []struct{ name, url, token, says string }{
		{"given", url, blind, ""},
		{"file", url + "?token_file=" + file, "ignored", ""},
		{"none", url, "", `key:read on "unrelated"`},
		{"one that may not", url, reader, `key:read on "unrelated"`},
	} {
		got, err := openKV(t, tt.url, tt.token).Get(t.Context())
		if tt.says == "" && (err != nil || !bytes.Equal(got, pair.Value)) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %q, %v, want an error that says %q", tt.name, got, err, tt.says)
		}
	}
}

func TestParseKVURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want consul.KVLocation
		says string
	}{
		{url: "consul://127.0.0.1:8500/hopscope/web.yaml", want: consul.KVLocation{
			Connection: consul.Connection{Address: "http://127.0.0.1:8500", Token: "secret"}, Key: "hopscope/web.yaml",
		}},
		{url: "consul+https://[::1]:8501/a%23b?dc=west&ns=n&partition=p&token_file=t&ca=c&cert=d&key=e&server_name=s", want: consul.KVLocation{
			Connection: consul.Connection{
				Address: "https://[::1]:8501", TokenFile: "t", TLS: consul.TLS{CA: "c", Cert: "d", Key: "e", ServerName: "s"},
			},
			Datacenter: "west", Namespace: "n", Partition: "p", Key: "a#b",
		}},
		{url: "consul://agent/key", want: consul.KVLocation{
			Connection: consul.Connection{Address: "http://agent", Token: "secret"}, Key: "key",
		}},
		{url: "web.yaml", says: "not a URL of a key"},
		{url: "http://127.0.0.1:8500/key", says: "not a URL of a key"},
		{url: "consul://127.0.0.1:8500/", says: "no key"},
		{url: "consul://127.0.0.1:8500/folder/", says: "no key"},
		{url: "consul:///key", says: "has no host"},
		{url: "consul://me:hunter2@127.0.0.1:8500/key", says: "must not hold a password"},
		{url: "consul://127.0.0.1:8500/a#b", says: "%23"},
		{url: "consul://127.0.0.1:8500/key?token=hunter2", says: `parameter "token" is unknown`},
		{url: "consul://127.0.0.1:8500/key?ca=x", says: `parameter "ca" is unknown`},
		{url: "consul://127.0.0.1:8500/key?dc=a&dc=b", says: "given twice"},
		{url: "consul://127.0.0.1:99999999/%zz", says: "not a URL"},
	} {
		got, err := consul.ParseKVURL(tt.url, "secret")
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "me:hunter2") {
				t.Errorf("%s: %v, want an error that says %q and no password", tt.url, err, tt.says)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.url, err, diff)
		}
	}
}

func FuzzParseKVURL(f *testing.F) {
	f.Add("consul://127.0.0.1:8500/hopscope/web.yaml?dc=west")
	f.Add("consul+https://[::1]/a%2fb?ca=x")
	f.Add("consul://u:p@h/k#f")
	f.Fuzz(func(t *testing.T, url string) {
		l, err := consul.ParseKVURL(url, "secret")
		if err != nil {
			if l != (consul.KVLocation{}) {
				t.Errorf("an error, and a location: %+v", l)
			}
			return
		}
		if l.Key == "" || l.Address == "" {
			t.Errorf("no key or no address: %+v", l)
		}
		if l.TokenFile == "" && l.TLS == (consul.TLS{}) {
			if _, err := consul.NewKV(l); err != nil {
				t.Errorf("%q parses, but cannot be used: %v", url, err)
			}
		}
	})
}
