package filewatch

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/hopscope/hopscope/discovery"
)

// Options are a Watcher's settings.
type Options struct {
	// Files are the paths to watch. They need not exist.
	Files []string
	// MaxBytes is how much is read of a file; one that is larger counts as one
	// that can not be read. 0 is 16 MiB.
	MaxBytes int64
	// Settle is how long after a first sign of change the files are read, so
	// that what is written together is seen together; 0 is 100 ms.
	Settle time.Duration
	// Poll is how often the files are read even without a sign, since not all
	// file systems give one; 0 is 5 s.
	Poll time.Duration
}

// Watcher tells when the content of files changes.
type Watcher struct {
	options Options
	notify  *fsnotify.Watcher // nil where the system has none left
	folders []string
	sums    [][sha256.Size]byte
}

// New notes what the files hold now: what changes from here on is told by
// [Watcher.Run]. The caller reads the files after this, lest a change between
// the two be lost, and calls Run, or [Watcher.Close] if it comes to nothing.
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

// Close gives back what a Watcher holds. Run does so itself when it ends.
func (w *Watcher) Close() {
	if w.notify != nil {
		w.notify.Close()
	}
}

// Run calls changed after each change, until ctx is done. It leaves no
// goroutine behind.
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

// look reports whether the files hold something else than when it was called last.
func (w *Watcher) look() bool {
	w.follow()
	sums := w.read()
	if slices.Equal(sums, w.sums) {
		return false
	}
	w.sums = sums
	return true
}

// follow has the folders watched in which a change can lead a path elsewhere,
// since a watch of the file itself would end with the file. It is called again
// after each change. A folder that is not there is left to the next poll.
func (w *Watcher) follow() {
	if w.notify == nil {
		return
	}
	var folders []string
	for _, path := range w.options.Files {
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

// Forget has what the files hold now be told as a change, if it can be read by then: for
// a caller that was told of a change and could not read it. It is called within changed.
func (w *Watcher) Forget() { w.sums = nil }

// read returns what the files hold, or why they can not be read, as hashes. Where this
// process lacks the means to read a file it holds what it held before.
func (w *Watcher) read() [][sha256.Size]byte {
	sums := make([][sha256.Size]byte, len(w.options.Files))
	for i, path := range w.options.Files {
		data, err := Read(path, w.options.MaxBytes)
		if discovery.Short(err) {
			if w.sums != nil {
				sums[i] = w.sums[i]
			}
			continue
		}
		if err != nil {
			data = []byte(err.Error())
		}
		sums[i] = sha256.Sum256(data)
	}
	return sums
}
