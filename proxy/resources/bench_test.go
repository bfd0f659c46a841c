package resources_test

import (
	"fmt"
	"testing"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/resources"
)

// One endpoint of a large catalog changes.
func BenchmarkDiff(b *testing.B) {
	var services []catalog.Service
	for i := range 1000 {
		s := service(fmt.Sprintf("service-%04d", i))
		for j := range 5 {
			s.Instances = append(s.Instances, at(fmt.Sprintf("10.0.%d.%d:8080", i/50, i%50*5+j), "hopscope-route=/"+s.Name))
		}
		services = append(services, s)
	}
	file := resources.FromConfig(mesh())
	old := file.Join(fromCatalog(nil, services...))
	services[7].Instances = services[7].Instances[1:]
	b.ReportAllocs()
	for b.Loop() {
		d := resources.Diff(old, file.Join(fromCatalog(nil, services...)))
		if len(d.Endpoints) != 1 || !d.Routes.None() || !d.Clusters.None() {
			b.Fatalf("%q", said(d))
		}
	}
}
