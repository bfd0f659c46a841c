package handover

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxMemory is the maximum size of the state that a process hands over.
const maxMemory = 256 << 20

// memoryFile puts data into a file without a name. It may be far more than a message can
// hold, hence a file. A version of hopscope that does not know it finds that it is not a
// socket, and closes it.
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
		return nil, fmt.Errorf("%d is not a descriptor", fd)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxMemory+1))
	if err == nil && len(data) > maxMemory {
		err = fmt.Errorf("it has more than %d bytes", maxMemory)
	}
	return data, err
}
