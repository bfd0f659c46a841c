package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/goccy/go-yaml/ast"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// The limits of a file. Real files are far below them; they bound the time and memory
// that a broken or hostile file can take.
const (
	maxBytes   = 1 << 20
	maxKeys    = 25_000 // the YAML parser's time is quadratic in a mapping's keys
	maxNesting = 64
)

// Load reads, decodes and validates a configuration file. Its error is an
// [Errors] when the file could be read.
func Load(path string) (*Config, error) {
	data, err := readFile(path, maxBytes+1)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data)
}

// readFile reads the first bytes of a file.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Parse decodes and validates a configuration: one YAML document, strictly.
// name stands for the file in messages. Its error is an [Errors] with every
// mistake that was found.
//
// Anchors, aliases and merge keys (<<) work as in YAML 1.1; tags and directives are
// refused. An absent key has its default. A written key has the written value, so
// "timeout: 0s" is no timeout and "via: false" is false. Parse reads the files of
// routes_from; mistakes in one have its name.
func Parse(name string, data []byte) (*Config, error) {
	return (*Environment)(nil).Parse(name, data)
}

// parse is [Environment.Parse] that also stores each value's position in root.
func parse(errs *collector, root *place, data []byte, e *Environment) (*Config, error) {
	body := parseYAML(errs, root, data, "a mapping with listeners and clusters")
	if body == nil {
		return nil, errs.err()
	}
	c := New()
	e.under(c)
	d := decoder{errs: errs, aliases: resolveAliases(errs, body)}
	d.decode(root, body, key{typ: reflect.TypeFor[Config]()}, reflect.ValueOf(c).Elem())
	e.settle(root, c)
	settleAccessLogs(root, c)
	readRoutes(errs, root, c)
	settlePaths(root, c)
	if !d.exhausted() {
		validate(errs, root, c)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parseYAML returns the body of the only document. If there is none, it reports what was
// expected, and returns nil.
func parseYAML(errs *collector, root *place, data []byte, expected string) ast.Node {
	if len(bytes.TrimPrefix(data, []byte("\ufeff"))) > maxBytes {
		errs.add(root, "the file is too large: a configuration has at most %d bytes", maxBytes)
		return nil
	}
	body, mistake := strictyaml.Parse(data, strictyaml.Options{What: "a configuration", Nesting: maxNesting, Keys: maxKeys})
	switch {
	case mistake != nil:
		errs.addAt(mistake.Line, mistake.Column, "", "%s", mistake.Message)
	case body == nil:
		errs.add(root, "the file is empty; expected %s", expected)
	}
	return body
}
