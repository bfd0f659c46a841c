package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Algorithm is a content coding.
type Algorithm uint8

// The algorithms.
const (
	Zstd Algorithm = iota
	Brotli
	Gzip
)

// codings are their names in Accept-Encoding and Content-Encoding.
var codings = [...]string{Zstd: "zstd", Brotli: "br", Gzip: "gzip"}

// AlgorithmOf returns the algorithm of a name; ok is false for a name that is none's.
func AlgorithmOf(name string) (a Algorithm, ok bool) {
	for a, n := range codings {
		if n == name {
			return Algorithm(a), true
		}
	}
	return 0, false
}

func (a Algorithm) String() string { return codings[a] }

// encoder compresses what is written to it. It has no goroutine of its own.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

const (
	// memory is about what an encoder takes, in bytes, as measured: 0.7 MiB for zstd, 0.9
	// for brotli, 1.0 for gzip.
	memory = 1 << 20
	// mostWritten is how much is given to an encoder at once. Brotli's takes several times
	// as much memory where it is given megabytes.
	mostWritten = 16 << 10
	// windowBits is how far back zstd and brotli look, as a power of two. More would hardly
	// make text of pages and APIs smaller, but take more memory.
	windowBits = 16
)

// encoders are those of an algorithm that nobody uses now.
type encoders struct {
	algorithm Algorithm
	pool      sync.Pool
}

// take returns an encoder that writes to w.
func (e *encoders) take(w io.Writer) encoder {
	if c, ok := e.pool.Get().(encoder); ok {
		c.Reset(w)
		return c
	}
	c := newEncoder(e.algorithm)
	c.Reset(w)
	return c
}

// give takes an encoder back, whatever state it is in.
func (e *encoders) give(c encoder) {
	c.Reset(nil)
	e.pool.Put(c)
}

// newEncoder returns one at a level at which it keeps up with a network.
func newEncoder(a Algorithm) encoder {
	switch a {
	case Zstd:
		c, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<windowBits),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return c
	case Brotli:
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 3, LGWin: windowBits})
	}
	c, err := gzip.NewWriterLevel(nil, 5)
	if err != nil {
		panic(err) // the level is a constant
	}
	return c
}
