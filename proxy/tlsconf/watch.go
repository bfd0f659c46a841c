package tlsconf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxFileBytes is how much is read of a file. A bundle of all the authorities
// that browsers know has a quarter of a megabyte.
const maxFileBytes = 16 << 20

// WatchOptions are a Watcher's settings.
type WatchOptions struct {
	// Files are the paths to watch. They need not exist.
	Files []string
	// Settle is how long after a first sign of change the files are read, so
	// that what is written together is seen together; 0 is 100 ms.
	Settle time.Duration
	// Poll is how often the files are read even without a sign, since not all
	// file systems give one; 0 is 30 s.
	Poll time.Duration
}

// Watcher tells when the content of files changes, by whatever way: written in
// place, replaced by another file, or by a change of the symbolic links that
// lead to them (as Kubernetes does with "..data").
type Watcher struct {
	options WatchOptions
	notify  *fsnotify.Watcher // nil where the system has none left
	sums    [][sha256.Size]byte
	stop    chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// NewWatcher notes what the files hold now: what changes from here on is told
// once [Watcher.Start] was called. The caller reads the files after this, lest
// a change between the two be lost.
func NewWatcher(o WatchOptions) *Watcher {
	if o.Settle == 0 {
		o.Settle = 100 * time.Millisecond
	}
	if o.Poll == 0 {
		o.Poll = 30 * time.Second
	}
	w := &Watcher{options: o, stop: make(chan struct{})}
	// The number of watchers that a user may have is limited. Without one,
	// changes are still seen, at the next poll.
	if notify, err := fsnotify.NewWatcher(); err == nil {
		w.notify = notify
	}
	w.watchFolders()
	w.sums = w.read()
	return w
}

// Start calls changed, in a goroutine of its own, after each change.
func (w *Watcher) Start(changed func()) {
	w.done.Go(func() { w.run(changed) })
}

// Stop ends the watch; changed is not called any more when it returns.
func (w *Watcher) Stop() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
	if w.notify != nil {
		w.notify.Close()
	}
}

func (w *Watcher) run(changed func()) {
	var events <-chan fsnotify.Event
	var missed <-chan error
	if w.notify != nil {
		events, missed = w.notify.Events, w.notify.Errors
	}
	poll := time.NewTicker(w.options.Poll)
	defer poll.Stop()
	// A sign does not put off the reading that an earlier one asked for: a
	// folder in which something always happens would else never be read.
	var settled <-chan time.Time
	for {
		select {
		case <-w.stop:
			return
		case <-events:
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
		w.watchFolders()
		if sums := w.read(); !slices.Equal(sums, w.sums) {
			w.sums = sums
			changed()
		}
	}
}

// watchFolders has the folders of the files watched, and those that symbolic
// links lead to: a file's own watch would end with the file. It is called again
// after each change, since links then lead elsewhere; what is watched already
// is not watched twice. A folder that is not there is left to the next poll.
func (w *Watcher) watchFolders() {
	if w.notify == nil {
		return
	}
	for _, path := range w.options.Files {
		w.notify.Add(filepath.Dir(path))
		if real, err := filepath.EvalSymlinks(path); err == nil {
			w.notify.Add(filepath.Dir(real))
		}
	}
}

// read returns what the files hold, or why they can not be read, as hashes.
func (w *Watcher) read() [][sha256.Size]byte {
	sums := make([][sha256.Size]byte, len(w.options.Files))
	for i, path := range w.options.Files {
		data, err := readFile(path)
		if err != nil {
			data = []byte(err.Error())
		}
		sums[i] = sha256.Sum256(data)
	}
	return sums
}

// readFile reads a file whole. Its errors name it.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is not a regular file")
	case info.Size() > maxFileBytes:
		err = fmt.Errorf("it has more than %d MiB", maxFileBytes>>20)
	default:
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			return data, nil
		}
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err // the path is in the message
	}
	return nil, fmt.Errorf("the file %q can not be read: %w", path, err)
}
