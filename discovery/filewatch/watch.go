package filewatch

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/hopscope/hopscope/discovery"
)

// Options are a Watcher's settings.
type Options struct {
	// Files are the paths to watch. They need not exist.
	Files []string
	// MaxBytes is how much of a file is read. A larger file counts as one that can not be
	// read. 0 is 16 MiB.
	MaxBytes int64
	// Settle is the pause between the first sign of a change and reading the files, so that
	// what is written together is seen together. 0 is 100 ms.
	Settle time.Duration
	// Poll is how often to read the files even without a sign, because not all file systems
	// give one. 0 is 5 s.
	Poll time.Duration
}

// Watcher tells when the content of files changes.
type Watcher struct {
	options Options
	notify  *fsnotify.Watcher // nil where the system has none left

	mu      sync.Mutex // over the rest
	more    []string   // patterns of further files
	match   func(pattern string) []string
	folders []string
	sums    map[string][sha256.Size]byte // by path
}

// New notes what the files hold now. [Watcher.Run] tells of every change from here on. Read
// the files after New, so that no change in between is missed; then call Run, or
// [Watcher.Close] if it comes to nothing.
func New(o Options) *Watcher {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 16 << 20
	}
	if o.Settle <= 0 {
		o.Settle = 100 * time.Millisecond
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	w := &Watcher{options: o}
	// The number of watchers that a user may have is limited. Without one,
	// changes are still seen, at the next poll.
	if notify, err := fsnotify.NewWatcher(); err == nil {
		w.notify = notify
	}
	w.follow()
	w.sums = w.read()
	return w
}

// Also has Run watch the files that patterns match as well, in place of those of the call
// before. match returns the files of one. Also reports whether the patterns are other
// than before: then read all files once more, so that no change in between is missed. It
// may be called while Run runs.
func (w *Watcher) Also(patterns []string, match func(pattern string) []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(w.more, patterns) {
		return false
	}
	w.more, w.match = slices.Clone(patterns), match
	w.follow()
	w.sums = w.read()
	return true
}

// files are the paths to watch. A pattern is one, too: a file that comes to match it is
// seen in its folder.
func (w *Watcher) files() []string {
	all := slices.Clone(w.options.Files)
	for _, pattern := range w.more {
		all = append(append(all, pattern), w.match(pattern)...)
	}
	return all
}

// Close releases what a Watcher holds. Run calls it at its end.
func (w *Watcher) Close() {
	if w.notify != nil {
		w.notify.Close()
	}
}

// Run calls changed after each change, until ctx is done. It leaves no goroutine behind.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	defer w.Close()
	var signs <-chan fsnotify.Event
	var missed <-chan error
	if w.notify != nil {
		signs, missed = w.notify.Events, w.notify.Errors
	}
	poll := time.NewTicker(w.options.Poll)
	defer poll.Stop()
	// A sign does not put off the reading that an earlier one asked for: a
	// folder in which something always happens would else never be read.
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-signs:
			if settled == nil {
				settled = time.After(w.options.Settle)
			}
			continue
		case <-missed:
			if settled == nil {
				settled = time.After(w.options.Settle)
			}
			continue
		case <-settled:
			settled = nil
		case <-poll.C:
		}
		if w.look() {
			changed()
		}
	}
}

// look reports whether the content of the files has changed since the last call.
func (w *Watcher) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow()
	sums := w.read()
	if maps.Equal(sums, w.sums) {
		return false
	}
	w.sums = sums
	return true
}

// follow watches the folders in which a change can make a path lead to another file. A
// watch of the file itself would end with the file. It is called again after each change.
// The next poll finds a folder that does not exist yet.
func (w *Watcher) follow() {
	if w.notify == nil {
		return
	}
	var folders []string
	for _, path := range w.files() {
		folders = append(folders, foldersOf(path)...)
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	for _, folder := range w.folders {
		if !slices.Contains(folders, folder) {
			w.notify.Remove(folder) // it may be gone, and the watch with it
		}
	}
	// Added again even if it is watched: a folder of that name may be another
	// than before.
	for _, folder := range folders {
		w.notify.Add(folder)
	}
	w.folders = folders
}

// Forget makes the next look report a change, if the files can be read by then. It is for a
// caller that was told of a change and could not read it; call it within changed.
func (w *Watcher) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sums = nil
}

// read returns hashes of what the files hold, or of why they can not be read. If this
// process lacks the means to read a file (discovery.Short), that file counts as unchanged.
func (w *Watcher) read() map[string][sha256.Size]byte {
	sums := map[string][sha256.Size]byte{}
	for _, path := range w.files() {
		data, err := Read(path, w.options.MaxBytes)
		if discovery.Short(err) {
			sums[path] = w.sums[path]
			continue
		}
		if err != nil {
			data = []byte(err.Error())
		}
		sums[path] = sha256.Sum256(data)
	}
	return sums
}
