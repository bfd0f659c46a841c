package tlsconf

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/filewatch"
	"github.com/hopscope/hopscope/telemetry/events"
)

// pollFiles is how often the files are looked at even if the system tells of no change.
const pollFiles = 30 * time.Second

// live keeps what was made of files up to date, and logs and counts how that goes.
type live struct {
	log     *slog.Logger
	note    func(kind events.Kind, text string)
	name    string // whose files they are, for people
	load    func() (*contents, error)
	changed func()             // is called after changed files were loaded; nil for nobody
	watcher *filewatch.Watcher // nil where there is no file
	cancel  context.CancelFunc // ends the watch
	watched sync.WaitGroup
	leaves  []*x509.Certificate // those in use; the watcher's goroutine's alone

	reloads, failures atomic.Uint64
	notAfter          atomic.Pointer[time.Time]
	shown             atomic.Pointer[[]*x509.Certificate] // leaves, for others
}

// contents is what was found in the files, for those who read the log.
type contents struct {
	// leaves are this side's own certificates.
	leaves []*x509.Certificate
	// warnings tell of what was loaded and yet will not do.
	warnings []string
}

// warn adds a warning, if there is one.
func (c *contents) warn(warning string) {
	if warning != "" {
		c.warnings = append(c.warnings, warning)
	}
}

// open loads the files for the first time and watches them. load puts to use what it
// returns. kind and name say in the log whose files they are.
func (l *live) open(log *slog.Logger, note func(events.Kind, string), kind, name string, files []string, load func() (*contents, error)) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if note == nil {
		note = func(events.Kind, string) {}
	}
	l.log, l.note, l.name, l.load = log.With(kind, name), note, kind+" "+name, load
	if len(files) > 0 {
		slices.Sort(files) // a certificate and its key may be in one file
		l.watcher = filewatch.New(filewatch.Options{Files: slices.Compact(files), MaxBytes: maxFileBytes, Poll: pollFiles})
	}
	c, err := load()
	switch {
	case err != nil && l.watcher != nil:
		l.watcher.Close()
		return err
	case err != nil:
		return err
	}
	l.use(c)
	if l.watcher != nil {
		ctx, cancel := context.WithCancel(context.Background())
		l.cancel = cancel
		l.watched.Go(func() { l.watcher.Run(ctx, l.reload) })
	}
	return nil
}

// reload loads files that have changed.
func (l *live) reload() {
	c, err := l.load()
	if discovery.Short(err) { // which says nothing of them: they are loaded when it is over
		l.watcher.Forget()
	}
	if err != nil {
		l.failures.Add(1)
		l.log.Error("changed TLS files are of no use, those from before stay in use until the next change", "error", err)
		l.note(events.CertificateRejected, fmt.Sprintf("changed TLS files of %s are of no use, those from before stay in use: %v", l.name, err))
		return
	}
	before := l.leaves
	l.use(c)
	l.reloads.Add(1)
	if l.changed != nil {
		defer l.changed()
	}
	fresh := false
	for _, leaf := range c.leaves {
		if !slices.ContainsFunc(before, leaf.Equal) {
			fresh = true
			l.log.Info("new certificate in use", "subject", leaf.Subject.String(), "names", names(leaf), "expires", leaf.NotAfter)
			l.note(events.CertificateReplaced, fmt.Sprintf("%s has a new certificate, of %s, which expires %s", l.name, leaf.Subject, leaf.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	if !fresh {
		l.log.Info("changed TLS files in use, the certificates are the same")
		l.note(events.CertificateReplaced, "changed TLS files of "+l.name+" are in use; its own certificates are the same")
	}
}

// use notes what was loaded.
func (l *live) use(c *contents) {
	for _, w := range c.warnings {
		l.log.Warn(w)
	}
	var first time.Time
	for _, leaf := range c.leaves {
		if first.IsZero() || leaf.NotAfter.Before(first) {
			first = leaf.NotAfter
		}
	}
	l.leaves = c.leaves
	l.shown.Store(&c.leaves)
	l.notAfter.Store(&first)
}

// Stats returns how often changed files were loaded, how often they were of no use, and
// when the first of this side's own certificates expires: the zero time if it has none.
func (l *live) Stats() (reloads, failures uint64, notAfter time.Time) {
	return l.reloads.Load(), l.failures.Load(), *l.notAfter.Load()
}

// Leaf is a certificate of this side's own.
type Leaf struct {
	Subject  string
	Names    []string
	NotAfter time.Time
}

// Leaves returns the certificates in use.
func (l *live) Leaves() (all []Leaf) {
	for _, c := range *l.shown.Load() {
		all = append(all, Leaf{c.Subject.String(), names(c), c.NotAfter})
	}
	return all
}

// Close stops watching the files. What was loaded last stays in use.
func (l *live) Close() {
	if l.cancel != nil {
		l.cancel()
		l.watched.Wait()
	}
}
