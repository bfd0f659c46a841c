package config

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
)

// source is the text of the files that define the keys. Their doc comments are the only
// description of the keys, in the binary too.
//
//go:embed accesslog.go actions.go config.go match.go mirror.go rewrite.go headers.go path.go errorbody.go split.go guard.go policies.go compress.go cors.go shed.go adaptive.go admission.go queue.go session.go transcode.go cluster.go sources.go admin.go mesh.go traces.go
var source embed.FS

// comments has the doc comments of those files, under "Cluster" for types and
// "Cluster.TLS" for fields. They are plain lines of text that name keys as the file does.
type comments map[string]string

// readComments parses the files. It is called when someone asks for the schema
// or the reference, so its cost does not matter.
func readComments() comments {
	texts := make(comments)
	names := make(map[string]string) // of fields, by their Go names
	files, _ := source.ReadDir(".")
	for _, f := range files {
		text, _ := source.ReadFile(f.Name())
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ParseComments)
		if err != nil {
			panic(fmt.Sprintf("config: %v", err)) // it was compiled
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				texts.add(gen, names)
			}
		}
	}
	for of, text := range texts {
		texts[of] = keyNames(text, names)
	}
	return texts
}

// add takes the comments of types and of their fields.
func (c comments) add(types *ast.GenDecl, names map[string]string) {
	for _, spec := range types.Specs {
		spec := spec.(*ast.TypeSpec)
		c[spec.Name.Name] = oneLine(types.Doc.Text())
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if len(field.Names) == 0 {
				continue // embedded: its own type has the comments
			}
			if field.Tag == nil {
				continue // it is no key
			}
			name := field.Names[0].Name
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			names[name] = tag.Get("yaml")
			c[spec.Name.Name+"."+name] = oneLine(field.Doc.Text())
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// field is the comment of a key.
func (c comments) field(k key) string {
	return startWith(c[k.owner+"."+k.field], k.field, k.name)
}

// startWith replaces the Go name with which a comment begins.
func startWith(text, from, to string) string {
	if rest, ok := strings.CutPrefix(text, from+" "); ok {
		return to + " " + rest
	}
	return text
}

// keyNames writes the keys that a comment mentions as they are in the file. It leaves Go
// names of one word, such as Zipkin, since they may not be keys.
func keyNames(text string, names map[string]string) string {
	return regexp.MustCompile(`\b[A-Z][a-z]+[A-Z]\w+\b`).ReplaceAllStringFunc(text, func(word string) string {
		if name, ok := names[word]; ok {
			return name
		}
		return word
	})
}
