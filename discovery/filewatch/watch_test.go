package filewatch_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/filewatch"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a hung test.
const patience = time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

// watch runs a watcher until the test ends. What it returns waits for a change
// to be told.
func watch(t *testing.T, w *filewatch.Watcher) (wait func(what string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, func() {
			select {
			case changes <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(patience):
			t.Fatalf("%s was not told", what)
		}
	}
}

func TestContentThatChanges(t *testing.T) {
	for name, poll := range map[string]time.Duration{"by signs": time.Hour, "by polls": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			write(t, a, "1")
			w := filewatch.New(filewatch.Options{Files: []string{a, b}, MaxBytes: 10, Settle: time.Millisecond, Poll: poll})
			if poll < time.Second {
				w.Deafen()
			}
			write(t, a, "2") // what changes before the start is not lost
			wait := watch(t, w)
			wait("a change before the start")
			write(t, b, "1")
			wait("a file that was not there")
			must(t, os.Remove(a))
			wait("a deleted file")
			write(t, a, "2")
			wait("a file that is back")
			write(t, dir+"/new", "3")
			must(t, os.Rename(dir+"/new", a))
			wait("a file in place of another")
			write(t, a, strings.Repeat("x", 11))
			wait("a file too large")
			// What is not a change of content is none: the next one told is the
			// one after it.
			must(t, os.Chtimes(b, time.Now(), time.Now()))
			write(t, b, "1")
			write(t, b, "2")
			wait("a change after none")
		})
	}
}

// TestLinksThatChange never polls: each change has to give a sign.
func TestLinksThatChange(t *testing.T) {
	dir := t.TempDir()
	relink := func(target, link string) {
		t.Helper()
		must(t, os.Symlink(target, link+".new"))
		must(t, os.Rename(link+".new", link))
	}
	for _, version := range []string{"1", "2", "3"} {
		must(t, os.MkdirAll(filepath.Join(dir, "etc", ".."+version), 0o700))
		write(t, filepath.Join(dir, "etc", ".."+version, "file"), version)
	}
	etc := filepath.Join(dir, "etc")
	relink("..1", filepath.Join(etc, "..data"))
	relink(filepath.Join("..data", "file"), filepath.Join(etc, "file"))
	must(t, os.Mkdir(filepath.Join(dir, "outside"), 0o700))
	relink(etc, filepath.Join(dir, "outside", "current")) // a folder above the file is a link, too

	path := filepath.Join(dir, "outside", "current", "file")
	w := filewatch.New(filewatch.Options{Files: []string{path}, Settle: time.Millisecond, Poll: time.Hour})
	wait := watch(t, w)
	relink("..2", filepath.Join(etc, "..data"))
	wait("..data")
	must(t, os.RemoveAll(filepath.Join(etc, "..1")))
	write(t, filepath.Join(etc, "..2", "file"), "in place")
	wait("a change where the link now leads")
	relink("..3", filepath.Join(etc, "..data"))
	wait("..data again")
	must(t, os.Mkdir(filepath.Join(dir, "other"), 0o700))
	write(t, filepath.Join(dir, "other", "file"), "other")
	relink(filepath.Join(dir, "other"), filepath.Join(dir, "outside", "current"))
	wait("the link of a folder")
	write(t, filepath.Join(dir, "other", "file"), "changed")
	wait("a change in the other folder")
}

func TestAFolderThatComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf")
	path := filepath.Join(dir, "file")
	w := filewatch.New(filewatch.Options{Files: []string{path}, Settle: time.Millisecond, Poll: time.Hour})
	wait := watch(t, w)
	for range 3 {
		// The file is in the folder before the folder is in its place: one sign.
		must(t, os.Mkdir(dir+".new", 0o700))
		write(t, filepath.Join(dir+".new", "file"), "1")
		must(t, os.Rename(dir+".new", dir))
		wait("a folder")
		must(t, os.RemoveAll(dir))
		wait("its end")
	}
}

func TestFoldersOf(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(dir+"/a/b", 0o700))
	write(t, dir+"/a/b/file", "")
	must(t, os.Symlink("../a/./b/file", dir+"/a/link"))
	must(t, os.Symlink(dir+"/a", dir+"/absolute"))
	must(t, os.Symlink("loop", dir+"/loop"))
	for path, want := range map[string][]string{
		"/a/b/file":          {"/a/b"},
		"/a/link":            {"/a", "/a/b"},
		"/absolute/link":     {"", "/a", "/a/b"},
		"/a/none":            {"/a"},
		"/none/file":         {""},
		"/a/b/file/no":       {"/a/b"},
		"/a/b":               {},
		"/absolute/../a/lin": {"/a"},
	} {
		for i := range want {
			want[i] = dir + want[i]
		}
		if got := filewatch.FoldersOf(dir + path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := filewatch.FoldersOf(dir + "/loop"); len(got) == 0 || len(got) > 50 {
		t.Errorf("a loop of links has %d folders", len(got))
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "12345")
	if data, err := filewatch.Read(dir+"/file", 5); err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	must(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	for name, want := range map[string]string{
		"none": "no such file", "pipe": "not a regular file", "": "not a regular file",
	} {
		if _, err := filewatch.Read(filepath.Join(dir, name), 5); err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), dir) != 1 {
			t.Errorf("%q: %v, want %q and the path once", name, err, want)
		}
	}
	if _, err := filewatch.Read(dir+"/file", 4); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") {
		t.Errorf("a file too large: %v", err)
	}
}

// TestWithoutDescriptors: what can't be read for want of a descriptor has not changed;
// what has, meanwhile, is told when it can be read.
func TestWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write(t, path, "1")
	write(t, path+".new", "2")
	w := filewatch.New(filewatch.Options{Files: []string{path}})
	defer w.Close()
	without := func(do func()) {
		t.Helper()
		var limit syscall.Rlimit
		must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}))
		defer func() { must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)) }()
		if _, err := filewatch.Read(path, 10); !discovery.Short(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("reading without descriptors: %v", err)
		}
		do()
	}
	without(func() {
		if w.Look() {
			t.Error("a file that can't be read counts as changed")
		}
		must(t, os.Rename(path+".new", path))
		if w.Look() {
			t.Error("a file that can't be read counts as changed, though nobody can know")
		}
	})
	if !w.Look() || w.Look() {
		t.Error("the change is not told once, when the file can be read again")
	}
	w.Forget()
	if !w.Look() || w.Look() {
		t.Error("what was forgotten is not told once")
	}
}

// Files that match a pattern are watched from the moment on that it is named, and so are
// those that come to match it.
func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	main, pattern := filepath.Join(dir, "main"), filepath.Join(dir, "more", "*.yaml")
	a, b := filepath.Join(dir, "more", "a.yaml"), filepath.Join(dir, "more", "b.yaml")
	write(t, main, "1")
	must(t, os.Mkdir(filepath.Dir(a), 0o700))
	w := filewatch.New(filewatch.Options{Files: []string{main}, Settle: time.Millisecond, Poll: time.Hour})
	match := func(pattern string) []string {
		files, _ := filepath.Glob(pattern)
		return files
	}
	if !w.Also([]string{pattern}, match) || w.Also([]string{pattern}, match) {
		t.Error("the pattern is new the first time, and not the second")
	}
	wait := watch(t, w)
	write(t, a, "1")
	wait("a file that came to match")
	write(t, a, "2")
	wait("a change of a file that matches")
	must(t, os.Rename(a, b))
	wait("another name")
	write(t, main, "2")
	wait("a change of the main file")
	w.Also(nil, match)
	write(t, b, "3")
	write(t, main, "3")
	wait("a change of the main file alone")
	must(t, os.Remove(b))
	if w.Look() {
		t.Error("a file was watched that nothing names")
	}
}
