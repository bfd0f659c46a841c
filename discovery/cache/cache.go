package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/consul"
)

// The head of a file.
const (
	kind    = "hopscope discovery cache"
	version = 1
)

// maxBytes bounds a file: more than a hundred thousand endpoints.
const maxBytes = 64 << 20

// Contents are what sources said last, by the question that they were asked.
type Contents struct {
	Sources  map[string]discovery.Known `json:"sources"`
	Catalogs map[string]Catalog         `json:"catalogs"`
}

// Catalog is what Consul said last of its catalog.
type Catalog struct {
	Services map[string][]consul.Instance
	// At is when that was last known to be so.
	At time.Time
}

// file is a file's contents with its head.
type file struct {
	Kind    string    `json:"kind"`
	Version int       `json:"version"`
	Written time.Time `json:"written"`
	Contents
}

// Len is how many answers there are.
func (c *Contents) Len() int { return len(c.Sources) + len(c.Catalogs) }

// Read reads a file. It leaves out answers that are older than maxAge, and returns how
// many those were. A file that does not exist has no contents.
func Read(path string, maxAge time.Duration, now time.Time) (c *Contents, old int, err error) {
	data, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Contents{}, 0, nil
	case err != nil:
		return nil, 0, err
	}
	if c, err = Decode(data); err != nil {
		return nil, 0, err
	}
	for question, k := range c.Sources {
		if now.Sub(k.At) > maxAge {
			delete(c.Sources, question)
			old++
		}
	}
	for question, k := range c.Catalogs {
		if now.Sub(k.At) > maxAge {
			delete(c.Catalogs, question)
			old++
		}
	}
	return c, old, nil
}

func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would wait for a writer
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(data) > maxBytes {
		err = fmt.Errorf("it has more than %d bytes", maxBytes)
	}
	return data, err
}

// Decode reads what Encode has written.
func Decode(data []byte) (*Contents, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("it is no cache of discovery, or is cut short: %w", err)
	}
	switch {
	case f.Kind != kind:
		return nil, fmt.Errorf("it is no cache of discovery: its kind is %.80q", f.Kind)
	case f.Version != version:
		return nil, fmt.Errorf("it is of version %d, and this hopscope knows version %d", f.Version, version)
	}
	for question, k := range f.Sources {
		for _, e := range k.Endpoints {
			if err := check(e); err != nil {
				return nil, fmt.Errorf("%.80s: %w", question, err)
			}
		}
	}
	for question, k := range f.Catalogs {
		for name, instances := range k.Services {
			for _, i := range instances {
				if err := check(i.Endpoint); err != nil {
					return nil, fmt.Errorf("%.80s: %.80q: %w", question, name, err)
				}
			}
		}
	}
	return &f.Contents, nil
}

// check refuses endpoints that no source delivers.
func check(e discovery.Endpoint) error {
	if e.Address == "" || e.Health > discovery.Draining || e.Priority < 0 || e.Weight < 0 {
		return fmt.Errorf("the endpoint %.80q makes no sense", e.Address)
	}
	return nil
}

// Encode makes the contents of a file.
func Encode(c *Contents, now time.Time) ([]byte, error) {
	data, err := json.Marshal(file{Kind: kind, Version: version, Written: now.UTC(), Contents: *c})
	if err == nil && len(data) > maxBytes {
		err = fmt.Errorf("it would have %d bytes, which are more than the %d that it may", len(data), maxBytes)
	}
	return data, err
}

// Write replaces the file at path. If it fails the old file stays. Only this user may
// read the file.
func Write(path string, c *Contents, now time.Time) (err error) {
	data, err := Encode(c, now)
	if err != nil {
		return err
	}
	next := fmt.Sprintf("%s.%d.new", path, os.Getpid())
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(next)
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // that it lasts is worth trying
		dir.Sync()
		dir.Close()
	}
	return nil
}
