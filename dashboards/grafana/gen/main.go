package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if a file is not what would be written")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: gen [-check] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// dashboards are all dashboards by the name of their file.
func dashboards() map[string]*board {
	return map[string]*board{
		"mesh.json":      mesh(),
		"service.json":   service(),
		"edge.json":      edge(),
		"proxy.json":     proxy(),
		"discovery.json": discovery(),
		"tls.json":       tls(),
	}
}

// run writes all dashboards to the folder, or compares them with what is there.
func run(folder string, check bool) error {
	all := dashboards()
	for name, b := range all {
		text, err := render(b)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		path := filepath.Join(folder, name)
		if !check {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				return err
			}
			continue
		}
		if there, err := os.ReadFile(path); err != nil {
			return err
		} else if !bytes.Equal(there, text) {
			return fmt.Errorf("%s is out of date: run make generate and commit it", path)
		}
	}
	return unknown(folder, all)
}

// unknown fails if the folder has a dashboard that is not generated.
func unknown(folder string, all map[string]*board) error {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if all[filepath.Base(path)] == nil {
			return fmt.Errorf("%s is not generated: delete it, or add it to dashboards in main.go", path)
		}
	}
	return nil
}

// render is the JSON of a dashboard. Its panels are numbered in order, so that links to a
// panel keep their meaning.
func render(b *board) ([]byte, error) {
	d, err := b.Build()
	if err != nil {
		return nil, err
	}
	id := uint32(0)
	number := func(p *dashboard.Panel) {
		id++
		n := id
		p.Id = &n
	}
	for i := range d.Panels {
		if p := d.Panels[i].Panel; p != nil {
			number(p)
			continue
		}
		row := d.Panels[i].RowPanel
		id++
		row.Id = id
		for j := range row.Panels {
			number(&row.Panels[j])
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
