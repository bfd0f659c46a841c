package process

import (
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestFindMapping(t *testing.T) {
	const smaps = `00400000-01000000 r-xp 00000000 fe:00 10225585                           /usr/bin/hop scope
Size:              12288 kB
AnonHugePages:         0 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000800000 rw-p 00000000 00:00 0 
Size:               8192 kB
AnonHugePages:      4096 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`
	for _, tt := range []struct {
		name    string
		address uintptr
		want    mapping
		ok      bool
	}{
		{"code", 0x400000, mapping{from: 0x400000, to: 0x1000000, file: true}, true},
		{"last byte", 0xffffff, mapping{from: 0x400000, to: 0x1000000, file: true}, true},
		{"behind", 0x1000000, mapping{}, false},
		{"memory", 0x7f0000123456, mapping{from: 0x7f0000000000, to: 0x7f0000800000, huge: 4096 << 10}, true},
		{"last mapping", 0xffffffffff600000, mapping{from: 0xffffffffff600000, to: 0xffffffffff601000}, true},
	} {
		m, ok := findMapping(smaps, tt.address)
		if ok != tt.ok || ok && m != tt.want {
			t.Errorf("%s: %+v %v, want %+v %v", tt.name, m, ok, tt.want, tt.ok)
		}
	}
	if m, ok := findMapping("", 1); ok {
		t.Errorf("found %+v in nothing", m)
	}
}

// TestCodeMovesWhileItRuns moves the code of a process of its own whose other threads are
// busy with it.
func TestCodeMovesWhileItRuns(t *testing.T) {
	const key = "HOPSCOPE_TEST_MOVE"
	if os.Getenv(key) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCodeMovesWhileItRuns$", "-test.v")
		cmd.Env = append(os.Environ(), key+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(string(out), "--- SKIP") {
			t.Skipf("%s", out)
		}
		return
	}
	var stop atomic.Bool
	var busy, done sync.WaitGroup
	for range 4 {
		busy.Add(1)
		done.Go(func() {
			for first := true; !stop.Load(); first = false {
				if ints := []int{3, 1, 2}; first {
					busy.Done()
				} else if slices.Sort(ints); !slices.IsSorted(ints) {
					panic("the code is not what it was")
				}
			}
		})
	}
	busy.Wait()
	moved, err := codeToHugePages()
	stop.Store(true)
	done.Wait()
	if err != nil {
		t.Skip(err)
	}
	m, err := mappingOf(reflect.ValueOf(runtime.GC).UnsafePointer())
	if err != nil || m.file || moved == 0 || m.huge < uintptr(moved) {
		t.Errorf("moved %d bytes, %v: %+v", moved, err, m)
	}
	runtime.GC()
	if _, err := codeToHugePages(); err == nil {
		t.Error("the code was moved twice")
	}
}
