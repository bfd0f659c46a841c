package backends

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// PrometheusServer is a running Prometheus with exemplar storage.
type PrometheusServer struct {
	*Process
	URL string // base URL of its API: GET URL + "/api/v1/query?query=up"
}

// Prometheus starts a Prometheus for the test that scrapes /metrics of each target,
// a host:port, four times a second, as the job "hopscope". Its first scrape comes after 5 s.
func Prometheus(tb testing.TB, scrapeTargets ...string) *PrometheusServer {
	tb.Helper()
	path := Require(tb, "prometheus")
	dir := tb.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, scrapeConfig(scrapeTargets), 0o644); err != nil {
		tb.Fatal(err)
	}
	p := new(PrometheusServer)
	p.Process = start(tb, "prometheus", func() (command, error) { return p.plan(path, config, dir) })
	return p
}

// StartPrometheus starts a Prometheus with a configuration file, which keeps its data below
// a directory, and runs until Kill.
func StartPrometheus(ctx context.Context, config, dir string) (_ *PrometheusServer, err error) {
	p := new(PrometheusServer)
	p.Process, err = launch(ctx, "prometheus", func(path string) (command, error) { return p.plan(path, config, dir) })
	return p, err
}

func (p *PrometheusServer) plan(path, config, dir string) (command, error) {
	a, err := freeAddresses(1)
	if err != nil {
		return command{}, err
	}
	p.URL = "http://" + a[0]
	return command{
		path: path,
		args: []string{
			"--log.level=warn",
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + a[0],
			"--enable-feature=exemplar-storage",
		},
		listens: a,
		ready:   answers(p.URL + "/-/ready"),
	}, nil
}

// scrapeConfig writes JSON, which is YAML too and needs no quoting of the targets.
func scrapeConfig(targets []string) []byte {
	type object map[string]any
	jobs := []object{}
	if len(targets) > 0 {
		jobs = append(jobs, object{"job_name": "hopscope", "static_configs": []object{{"targets": targets}}})
	}
	config, err := json.Marshal(object{
		"global":         object{"scrape_interval": "250ms", "scrape_timeout": "250ms"},
		"scrape_configs": jobs,
	})
	if err != nil {
		panic(err) // maps, slices and strings always marshal
	}
	return config
}
