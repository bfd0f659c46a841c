package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// machine names what the figures were measured on.
type machine struct {
	CPU           string    `json:"cpu"`
	Cores         int       `json:"cores"`
	Virtual       bool      `json:"virtual"`
	MemoryBytes   int64     `json:"memory_bytes"`
	System        string    `json:"system"` // operating system, kernel, architecture
	LoadAverage   string    `json:"load_average_at_start"`
	OthersPercent float64   `json:"others_percent"` // CPU time that other processes used meanwhile
	StolenPercent float64   `json:"stolen_percent"` // CPU time the hypervisor gave to others meanwhile
	Versions      []version `json:"versions"`
}

// version is what a program says of itself.
type version struct {
	Program string `json:"program"`
	Version string `json:"version"`
}

// readMachine describes this machine; programs are asked later.
func readMachine() (machine, error) {
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return machine{}, err
	}
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return machine{}, err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return machine{}, err
	}
	loadavg, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return machine{}, err
	}
	m := machine{
		CPU:     cpuModel(string(cpuinfo)),
		Cores:   runtime.NumCPU(),
		Virtual: isVirtual(string(cpuinfo)),
		System:  fmt.Sprintf("%sLinux %s %s", distribution(), strings.TrimSpace(string(kernel)), runtime.GOARCH),
	}
	if fields := strings.Fields(string(loadavg)); len(fields) >= 3 {
		m.LoadAverage = strings.Join(fields[:3], " ")
	}
	if total, ok := procField(string(meminfo), "MemTotal"); ok {
		kib, err := strconv.ParseInt(strings.TrimSuffix(total, " kB"), 10, 48)
		if err != nil {
			return machine{}, fmt.Errorf("/proc/meminfo: MemTotal: %w", err)
		}
		m.MemoryBytes = kib * 1024
	}
	return m, nil
}

// cpuModel names the processor; arm64 kernels give numbers only.
func cpuModel(cpuinfo string) string {
	if model, ok := procField(cpuinfo, "model name"); ok {
		return model
	}
	implementer, ok := procField(cpuinfo, "CPU implementer")
	part, hasPart := procField(cpuinfo, "CPU part")
	if ok && hasPart {
		return fmt.Sprintf("implementer %s, part %s", implementer, part)
	}
	return "unknown"
}

// isVirtual reports whether an x86 processor says that a hypervisor is present.
func isVirtual(cpuinfo string) bool {
	flags, _ := procField(cpuinfo, "flags")
	return slices.Contains(strings.Fields(flags), "hypervisor")
}

// distribution is PRETTY_NAME of os-release(5) and a comma, or nothing.
func distribution() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`) + ", "
		}
	}
	return ""
}

// askVersion returns the first line in which a program names its version.
func askVersion(program, path string) version {
	argument := map[string]string{"haproxy": "-v", "nginx": "-v", "wrk": "-v", "h2load": "--version", "hopscope": "version"}[program]
	out, _ := exec.Command(path, argument).CombinedOutput() // wrk -v exits 1
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, "Copyright") // wrk's
	return version{program, strings.TrimSpace(line)}
}

// corePlan says where processes run.
type corePlan struct {
	proxy, load int // unpinned when there is no choice
	note        string
}

// planCores puts the proxy and the load on the first two cores that this
// process may use.
func planCores() corePlan {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return corePlan{unpinned, unpinned, "not pinned: " + err.Error()}
	}
	list, _ := procField(string(status), "Cpus_allowed_list")
	cores, err := parseCPUList(list)
	if err != nil {
		return corePlan{unpinned, unpinned, "not pinned: " + err.Error()}
	}
	_, err = exec.LookPath("taskset")
	return chooseCores(cores, err == nil)
}

// chooseCores decides from the cores there are and whether taskset is there.
func chooseCores(cores []int, taskset bool) corePlan {
	switch {
	case len(cores) < 2:
		return corePlan{unpinned, unpinned, "not pinned: there is one core, so the proxy shares it with load and backend; latencies and requests a second say little, CPU a request is higher than on a core of its own."}
	case !taskset:
		return corePlan{unpinned, unpinned, "not pinned: taskset (util-linux) is not installed; processes may move between cores and disturb each other."}
	}
	plan := corePlan{proxy: cores[1], load: cores[0]}
	siblings, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", plan.proxy))
	if err != nil {
		return plan
	}
	if shared, err := parseCPUList(string(siblings)); err == nil && slices.Contains(shared, plan.load) {
		plan.note = fmt.Sprintf("cores %d and %d are hardware threads of one core: load and proxy slow each other down.", plan.load, plan.proxy)
	}
	return plan
}
