package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page, in bytes.
const hugePage = 2 << 20

// codeToHugePages copies the program's code to huge pages and puts the copy in the code's
// place. It returns how many bytes it moved: whole huge pages only.
//
// A request runs through a few hundred small pages of code, all over the program; the
// processor remembers where 128 to 256 of them are (its iTLB), and looks the others up again
// and again. Huge pages are half a dozen.
//
// Other threads may run the code meanwhile. The kernel holds the lock of the address space
// while it takes the old pages away and puts the copy there, so that a thread that comes upon
// the gap waits for its end, and then finds the same bytes.
func codeToHugePages() (moved int, err error) {
	if mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || bytes.Contains(mode, []byte("[never]")) {
		return 0, errors.New("the kernel has no transparent huge pages (/sys/kernel/mm/transparent_hugepage/enabled)")
	}
	here := reflect.ValueOf(runtime.GC).UnsafePointer() // Go's runtime comes first
	code, err := mappingOf(here)
	if err != nil {
		return 0, err
	}
	if !code.file {
		return 0, errors.New("it has been moved already")
	}
	from, to := (code.from+hugePage-1)&^(hugePage-1), code.to&^(hugePage-1)
	if from >= to {
		return 0, errors.New("it has no whole huge page")
	}
	place, size := unsafe.Add(here, from-uintptr(here)), to-from

	area, err := reserve(size)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = unix.MunmapPtr(area, size) // it is ours, and whole
		}
	}()
	spare := unsafe.Slice((*byte)(area), size)
	if err := unix.Madvise(spare, unix.MADV_HUGEPAGE); err != nil {
		return 0, fmt.Errorf("madvise: %w", err)
	}
	copy(spare, unsafe.Slice((*byte)(place), size))
	got, err := mappingOf(area)
	if err != nil {
		return 0, err
	}
	if got.huge < size {
		return 0, fmt.Errorf("the kernel had huge pages for %d of %d bytes", min(got.huge, size), size)
	}
	if err := unix.Mprotect(spare, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return 0, fmt.Errorf("mprotect: %w", err)
	}
	if _, err := unix.MremapPtr(area, size, place, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED); err != nil {
		return 0, fmt.Errorf("mremap: %w", err)
	}
	return int(size), nil
}

// reserve returns memory of that size, a multiple of a huge page's, that begins where a huge
// page can.
func reserve(size uintptr) (unsafe.Pointer, error) {
	// One huge page more than needed holds such a place; what is before and behind goes back.
	whole, err := unix.MmapPtr(-1, 0, nil, size+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	before := -uintptr(whole) & (hugePage - 1)
	area := unsafe.Add(whole, before)
	if before > 0 {
		_ = unix.MunmapPtr(whole, before)
	}
	_ = unix.MunmapPtr(unsafe.Add(area, size), hugePage-before)
	return area, nil
}

// mapping is a range of the process's addresses.
type mapping struct {
	from, to uintptr
	file     bool    // it shows a file
	huge     uintptr // how many bytes of it are in huge pages of its own memory
}

// mappingOf returns the mapping with that address.
func mappingOf(p unsafe.Pointer) (mapping, error) {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return mapping{}, err
	}
	m, ok := findMapping(string(maps), uintptr(p))
	if !ok {
		return mapping{}, errors.New("it is not in /proc/self/smaps")
	}
	return m, nil
}

// findMapping returns the mapping with an address from the text of /proc/PID/smaps
// (proc(5)): a line "from-to mode offset device inode file", then lines "Key: value kB".
func findMapping(smaps string, address uintptr) (m mapping, ok bool) {
	for line := range strings.Lines(smaps) {
		var from, to uintptr
		var mode, offset, device string
		var inode uint64
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %d", &from, &to, &mode, &offset, &device, &inode); n == 6 {
			if ok {
				return m, true
			}
			m, ok = mapping{from: from, to: to, file: inode != 0}, from <= address && address < to
		}
		var kilobytes uintptr
		if n, _ := fmt.Sscanf(line, "AnonHugePages: %d kB", &kilobytes); n == 1 {
			m.huge = kilobytes << 10
		}
	}
	return m, ok
}
