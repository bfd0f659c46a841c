package file_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/file"
	"go.uber.org/goleak"
)

var _ discovery.Source = (*file.Source)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a hung test.
const patience = time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replace puts a file in the place of another, as programs should.
func replace(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path+".new", []byte(content), 0o600))
	must(t, os.Rename(path+".new", path))
}

// follow runs a source until the test ends. What it returns waits for an
// update and compares it with the addresses, and with a part of its error.
func follow(t *testing.T, path string) (expect func(addresses []string, wrong string)) {
	t.Helper()
	source, err := file.New(file.Options{Path: path, Settle: time.Millisecond, Poll: 20 * time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	updates, done := make(chan discovery.Update), make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, func(u discovery.Update) {
			select {
			case updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func(addresses []string, wrong string) {
		t.Helper()
		select {
		case u := <-updates:
			var got []string
			if u.Endpoints != nil {
				got = []string{}
			}
			for _, e := range u.Endpoints {
				got = append(got, e.Address)
			}
			if diff := cmp.Diff(addresses, got); diff != "" {
				t.Fatalf("delivered (-want +got):\n%s", diff)
			}
			if u.Missing || (wrong == "") != (u.Err == nil) || u.Err != nil && !strings.Contains(u.Err.Error(), wrong) {
				t.Fatalf("delivered %v, want an error with %q", u, wrong)
			}
		case <-time.After(patience):
			t.Fatal("nothing was delivered")
		}
	}
}

func TestSourceKeepsTheLastGoodAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	expect := follow(t, path)
	expect(nil, "no such file")
	replace(t, path, "endpoints: [a:1]")
	expect([]string{"a:1"}, "")
	replace(t, path, "endpoints: [a:1, a:1]")
	expect([]string{"a:1"}, "endpoints.yaml:1:18: endpoints[1]: a:1 is there already")
	replace(t, path, "endpoints: [a:1, b]")
	expect([]string{"a:1"}, `"b" has no port`)
	replace(t, path, "")
	expect([]string{"a:1"}, "the file is empty")
	must(t, os.Remove(path))
	expect([]string{"a:1"}, "no such file")
	replace(t, path, "endpoints: [a:1]")
	expect([]string{"a:1"}, "") // fresh again
	replace(t, path, "endpoints: [a:1, b:1]")
	expect([]string{"a:1", "b:1"}, "")
	replace(t, path, strings.Repeat("#", 5<<20))
	expect([]string{"a:1", "b:1"}, "it has more than 4194304 bytes")
	replace(t, path, "endpoints: []")
	expect([]string{}, "")
	replace(t, path, "endpoints: [")
	expect([]string{}, "endpoints.yaml:1:")
}

func TestWhatIsTheSameIsNoNews(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	source, err := file.New(file.Options{Path: path})
	must(t, err)
	var last discovery.Update
	for _, step := range []struct {
		content string
		news    bool
	}{
		{"endpoints: [a:1]", true}, {"# the same\nendpoints:\n- a:1\n", false},
		{"endpoints: [a]", true}, {"endpoints: [a] # as bad", false}, {"endpoints: [b]", true},
		{"endpoints: [a:1]", true}, {"endpoints: []", true}, {"{endpoints: []}", false},
	} {
		replace(t, path, step.content)
		next, news := source.Read(last)
		if news != step.news {
			t.Errorf("%q after %v: news %t, want %t", step.content, last, news, step.news)
		}
		last = next
	}
}

func TestSourceFollowsAConfigMap(t *testing.T) {
	dir := t.TempDir()
	put := func(version, content string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, version, "endpoints.json"), []byte(content), 0o600))
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	put("..1", `{"endpoints": ["a:1"]}`)
	path := filepath.Join(dir, "endpoints.json")
	must(t, os.Symlink(filepath.Join("..data", "endpoints.json"), path))
	expect := follow(t, path)
	expect([]string{"a:1"}, "")
	put("..2", `{"endpoints": ["b:1"]}`)
	expect([]string{"b:1"}, "")
	must(t, os.RemoveAll(filepath.Join(dir, "..1")))
	put("..3", `{"endpoints": ["c:1"]}`)
	expect([]string{"c:1"}, "")
}

func TestNewRefuses(t *testing.T) {
	for want, o := range map[string]file.Options{
		"path: it is empty":          {},
		"settle: it is at least 0":   {Path: "x", Settle: -1},
		"poll: it is at least 0, fo": {Path: "x", Poll: -1},
	} {
		if _, err := file.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	if err := file.Check(path); err == nil || !strings.Contains(err.Error(), "can not be read: no such file") {
		t.Errorf("no file: %v", err)
	}
	replace(t, path, "endpoints: [a]")
	if err := file.Check(path); err == nil || !strings.HasPrefix(err.Error(), path+":1:13: endpoints[0]: ") {
		t.Errorf("a bad file: %v", err)
	}
	replace(t, path, "endpoints: [a:1]")
	if err := file.Check(path); err != nil {
		t.Errorf("a good file: %v", err)
	}
}
