package catalog_test

import (
	"fmt"
	"testing"

	"github.com/hopscope/hopscope/proxy/catalog"
)

func BenchmarkCompile(b *testing.B) {
	for _, tags := range []int{0, 1, 3} {
		var services []catalog.Service
		for i := range 1000 {
			s := catalog.Service{Name: fmt.Sprintf("service-%04d", i)}
			for j := range 5 {
				in := at(fmt.Sprintf("10.0.%d.%d:8080", i/50, i%50*5+j), "v1", "canary")
				for k := range tags {
					in.Tags = append(in.Tags, fmt.Sprintf("urlprefix-host-%d.test/service-%04d strip=/service-%04d", k, i, i))
				}
				s.Instances = append(s.Instances, in)
			}
			services = append(services, s)
		}
		b.Run(fmt.Sprintf("tags=%d", tags), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				catalog.Compile(services, catalog.Options{Datacenter: "dc1"})
			}
		})
	}
}
