package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestConfigurationsRender(t *testing.T) {
	filled := places{Dir: "/dir", Listen: "127.0.0.1:1", Backend: "127.0.0.1:2", Admin: "127.0.0.1:3",
		OTLP: "127.0.0.1:4", Syslog: "127.0.0.1:5", AccessLog: "/dir/access.log", Cert: "/dir/cert.pem", Key: "/dir/key.pem", Pair: "/dir/pair.pem",
		Consul: "127.0.0.1:6", ConsulService: "bench"}
	used := map[string]bool{"backend.conf": true}
	for _, v := range append(variants(), discoveryVariant()) {
		used[v.config] = true
		filled.Service = v.name
		filled.Endpoints, filled.OtherRoutes = endpointAddresses(v.endpoints, "7"), otherRoutes(max(0, v.routes-1))
		text, err := render(v.config, filled)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		for part, wanted := range map[string]bool{
			filled.Listen: true, filled.Backend: v.endpoints == 0 && v.name != discoveryVariant().name, filled.Consul: v.name == discoveryVariant().name, filled.AccessLog: v.fileLog, filled.Syslog: v.syslog, filled.OTLP: v.spans > 0,
			filled.Pair: v.program == "haproxy" && v.group == groupTLS, filled.Cert: v.program != "haproxy" && v.group == groupTLS,
		} {
			if strings.Contains(string(text), part) != wanted {
				t.Errorf("%s: has %s: %t, want %t:\n%s", v.name, part, !wanted, wanted, text)
			}
		}
		if v.program != "hopscope" {
			continue
		}
		var tree map[string]any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		// The sink counts spans by this name.
		if tree["service"] != v.name {
			t.Errorf("%s: its service is %v", v.name, tree["service"])
		}
	}
	files, err := os.ReadDir("configs")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !used[file.Name()] {
			t.Errorf("configs/%s is used by no variant", file.Name())
		}
	}
}

// Every variant is in a group, and every group begins with the variant that its ratios
// are to: the HAProxy, but where it's endpoints or routes that are compared.
func TestGroupsAndVariantsBelongTogether(t *testing.T) {
	for _, v := range variants() {
		if groupOf(v.group).name == "" {
			t.Errorf("%s is in the group %q, which there is not", v.name, v.group)
		}
	}
	for _, g := range groups() {
		own := options{variants: variants()}.variantsOf(g)
		if len(own) == 0 || own[0].name != g.base || (own[0].program == "haproxy") == (g.scale || g.routes) {
			t.Errorf("the group %s does not begin with its base %s: %+v", g.name, g.base, own)
		}
		for _, v := range own {
			if base := baseOf(g.name, v.name); !slices.Contains(variantNames(), base) || g.scale && !strings.HasPrefix(base, v.program) {
				t.Errorf("the ratio of %s is to %s", v.name, base)
			}
		}
		for _, v := range variants() {
			if v.name == g.name {
				t.Errorf("%s names a group and a variant", g.name)
			}
		}
	}
}

func TestBodyText(t *testing.T) {
	for _, n := range []int{1, 98, 1023, 1024, 10240, 10241, blockBytes, blockBytes + 1025, largeBody, maxBody} {
		text := bodyText(n)
		stands := strings.NewReplacer("$kib", filler(1024), "$block", filler(blockBytes))
		if got := len(stands.Replace(text)); got != n {
			t.Errorf("bodyText(%d) stands for %d bytes", n, got)
		}
		if len(text) > 4000 {
			t.Errorf("bodyText(%d) is %d bytes long, more than nginx takes", n, len(text))
		}
	}
}

func TestCheckContext(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, tc := range []struct {
		name, seen string
		ok         bool
	}{
		{"both", "00-" + trace + "-" + span + "-01 id-1", true},
		{"not sampled", "00-" + trace + "-" + span + "-00 id-1", true},
		{"no request id", "00-" + trace + "-" + span + "-01 ", false},
		{"upper case", "00-" + strings.ToUpper(trace) + "-" + span + "-01 id-1", false},
		{"a trace id of zeros", "00-" + strings.Repeat("0", 32) + "-" + span + "-01 id-1", false},
		{"a span id of zeros", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01 id-1", false},
		{"no traceparent", " id-1", false},
		{"nothing", "", false},
	} {
		if err := checkContext(tc.seen); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestChooseCores(t *testing.T) {
	for _, tc := range []struct {
		name        string
		cores       []int
		taskset     bool
		proxy, load int
		note        string
	}{
		{"one core", []int{0}, true, unpinned, unpinned, "one core"},
		{"no taskset", []int{0, 1}, false, unpinned, unpinned, "taskset"},
		{"cores far up that no machine here has", []int{4001, 4003, 4005}, true, 4003, 4001, ""},
	} {
		got := chooseCores(tc.cores, tc.taskset)
		if got.proxy != tc.proxy || got.load != tc.load || (got.note == "") != (tc.note == "") || !strings.Contains(got.note, tc.note) {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

func TestCPUModel(t *testing.T) {
	const x86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor sse\n"
	const arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
	if got := cpuModel(x86); got != "AMD EPYC" || !isVirtual(x86) {
		t.Errorf("x86: %q, virtual %t", got, isVirtual(x86))
	}
	if got := cpuModel(arm); got != "implementer 0x41, part 0xd40" || isVirtual(arm) {
		t.Errorf("arm: %q, virtual %t", got, isVirtual(arm))
	}
	if got := cpuModel(""); got != "unknown" {
		t.Errorf("nothing: %q", got)
	}
}
