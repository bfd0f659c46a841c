package handover

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxMemory bounds what a process may hand over of what it knows.
const maxMemory = 256 << 20

// memoryFile puts data into a file that has no name. A file, since it may be much more
// than a message can hold; a version of hopscope that knows nothing of it takes it for
// a socket that is none, and closes it.
func memoryFile(data []byte) (fd int, err error) {
	f, err := anonymous("hopscope-memory")
	if err != nil {
		return -1, err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return -1, err
	}
	fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, os.NewSyscallError("fcntl", err)
}

// readMemory reads and closes such a file.
func readMemory(fd int) ([]byte, error) {
	f := os.NewFile(uintptr(fd), "memory")
	if f == nil {
		return nil, fmt.Errorf("%d is no descriptor", fd)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxMemory+1))
	if err == nil && len(data) > maxMemory {
		err = fmt.Errorf("it has more than %d bytes", maxMemory)
	}
	return data, err
}
