package cache_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/cache"
	"github.com/hopscope/hopscope/discovery/consul"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func contents() *cache.Contents {
	web := discovery.Endpoint{
		Address: "10.0.0.1:80", Weight: 3, Priority: 1, Health: discovery.Degraded,
		Locality: discovery.Locality{Region: "eu", Zone: "eu-1"}, Metadata: map[string]string{"version": "v2"},
	}
	return &cache.Contents{
		Sources: map[string]discovery.Known{
			"dns a":    {Endpoints: []discovery.Endpoint{web}, At: now.Add(-time.Hour)},
			"consul b": {Endpoints: []discovery.Endpoint{}, Missing: true, At: now.Add(-3 * time.Hour)},
		},
		Catalogs: map[string]cache.Catalog{"catalog": {
			Services: map[string][]consul.Instance{"web": {{Endpoint: web, ID: "web-1", Tags: []string{"urlprefix-/x"}}}, "empty": {}},
			At:       now.Add(-2 * time.Hour),
		}},
	}
}

func TestReadsWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.json")
	if c, old, err := cache.Read(path, time.Hour, now); err != nil || old != 0 || c.Len() != 0 {
		t.Errorf("a file that does not exist: %+v, %d, %v", c, old, err)
	}
	if err := os.WriteFile(path, []byte("of somebody else, for all to read"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := cache.Write(path, contents(), now); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v: want one that this user alone may read", info.Mode(), err)
		}
		c, old, err := cache.Read(path, 4*time.Hour, now)
		if err != nil || old != 0 {
			t.Fatal(old, err)
		}
		if d := cmp.Diff(contents(), c, cmpopts.IgnoreUnexported(consul.Instance{})); d != "" {
			t.Error(d)
		}
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
	for maxAge, want := range map[time.Duration]int{90 * time.Minute: 1, 150 * time.Minute: 2, time.Second: 0} {
		c, old, err := cache.Read(path, maxAge, now)
		if err != nil || c.Len() != want || old != 3-want {
			t.Errorf("%s: %d answers, %d too old, %v; want %d", maxAge, c.Len(), old, err, want)
		}
	}
}

// A write that fails leaves what there is.
func TestFailedWriteLeavesWhatThereIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache.json")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cache.Write(path, contents(), now); err == nil {
		t.Error("a directory was replaced")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v is left behind", left)
	}
	if err := cache.Write(filepath.Join(dir, "missing", "cache.json"), contents(), now); err == nil {
		t.Error("a directory was made")
	}
}

func TestRefusals(t *testing.T) {
	good, err := cache.Encode(contents(), now)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cache.json")
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "cut short"},
		{"half", good[:len(good)/2], "cut short"},
		{"but for the last byte", good[:len(good)-1], "cut short"},
		{"with more behind it", append(bytes.Clone(good), '}'), "no cache of discovery"},
		{"somebody else's JSON", []byte(`{"sources": {}}`), "its kind is"},
		{"another version", bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1), "version 2"},
		{"a health that there is not", bytes.Replace(good, []byte(`"Health":1`), []byte(`"Health":9`), 1), "makes no sense"},
		{"no address", bytes.ReplaceAll(good, []byte(`10.0.0.1:80`), nil), "makes no sense"},
		{"too large", append(bytes.Clone(good), bytes.Repeat([]byte(" "), 64<<20)...), "more than"},
	} {
		if err := os.WriteFile(path, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := cache.Read(path, time.Hour, now)
		if err == nil || !strings.Contains(err.Error(), tt.want) || c != nil {
			t.Errorf("%s: %v, %v; want %q", tt.name, c, err, tt.want)
		}
	}
	if _, _, err := cache.Read(t.TempDir(), time.Hour, now); err == nil {
		t.Error("a directory was read")
	}
}

func FuzzDecode(f *testing.F) {
	good, err := cache.Encode(contents(), now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"kind":"hopscope discovery cache","version":1,"sources":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := cache.Decode(data)
		if err != nil {
			return
		}
		for _, k := range c.Sources {
			for _, e := range k.Endpoints {
				_ = e.Health.String()
			}
		}
		if _, err := cache.Encode(c, now); err != nil {
			t.Errorf("what was read can't be written: %v", err)
		}
	})
}
