package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// comments has the doc comments of the keys of the configuration, under "Cluster" for types
// and "Cluster.TLS" for fields.
type comments map[string]string

// commentsOf returns what proxy/config has of them: a line for each, sorted. They name keys as
// the file does.
func commentsOf(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	texts, names := make(comments), make(map[string]string) // of fields, by their Go names
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				texts.add(gen, names)
			}
		}
	}
	var b bytes.Buffer
	for _, of := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&b, "%s\t%s\n", of, keyNames(texts[of], names))
	}
	return b.Bytes(), nil
}

// add takes the comments of types with keys, and of those.
func (c comments) add(types *ast.GenDecl, names map[string]string) {
	for _, spec := range types.Specs {
		spec := spec.(*ast.TypeSpec)
		of, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		keys := false
		for _, field := range of.Fields.List {
			if len(field.Names) == 0 {
				keys = true // embedded: its own type has the comments
				continue
			}
			if field.Tag == nil {
				continue
			}
			key, ok := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Lookup("yaml")
			if !ok {
				continue
			}
			keys = true
			name := field.Names[0].Name
			names[name] = key
			c[spec.Name.Name+"."+name] = oneLine(field.Doc.Text())
		}
		if keys {
			c[spec.Name.Name] = oneLine(types.Doc.Text())
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

var goName = regexp.MustCompile(`\b[A-Z][a-z]+[A-Z]\w+\b`)

// keyNames writes the keys that a comment mentions as they are in the file. It leaves Go
// names of one word, such as Zipkin, since they may not be keys.
func keyNames(text string, names map[string]string) string {
	return goName.ReplaceAllStringFunc(text, func(word string) string {
		if name, ok := names[word]; ok {
			return name
		}
		return word
	})
}
