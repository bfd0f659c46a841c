package overload

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// What clients may make the proxy hold, and what Go's heap may grow to, in quarters of
// the memory that the process may use. The rest is for the kernel's part of the
// connections, and for what the collector has not collected yet.
const (
	clientsQuarters = 1
	heapQuarters    = 3
)

// ForClients is the budget for clients of a process that may use so many bytes, and
// ForHeap what its heap may grow to; 0 is no limit.
func ForClients(memory int64) int64 { return memory / 4 * clientsQuarters }
func ForHeap(memory int64) int64    { return memory / 4 * heapQuarters }

// Memory returns how many bytes this process may use, and what says so: the least of
// what its cgroup, GOMEMLIMIT and the machine allow. 0 is not known.
func Memory() (bytes int64, from string) {
	if machine, err := memlimit.FromSystem(); err == nil {
		bytes, from = int64(machine), "machine"
	}
	if group, err := memlimit.FromCgroup(); err == nil && (bytes == 0 || int64(group) < bytes) {
		bytes, from = int64(group), "cgroup"
	}
	if HeapLimited() {
		if heap := debug.SetMemoryLimit(-1); bytes == 0 || heap < bytes { // which only asks
			bytes, from = heap, "GOMEMLIMIT"
		}
	}
	return bytes, from
}

// HeapLimited reports whether the user has limited Go's heap, by GOMEMLIMIT.
func HeapLimited() bool { return os.Getenv("GOMEMLIMIT") != "" }
