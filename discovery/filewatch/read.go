package filewatch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read returns the content of a regular file of at most that many bytes; a larger one is an
// error. Errors name the file.
func Read(path string, most int64) ([]byte, error) {
	data, err := read(path, most)
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		err = at.Err // the path is in the message
	}
	if err != nil {
		return nil, fmt.Errorf("the file %q can not be read: %w", path, err)
	}
	return data, nil
}

func read(path string, most int64) ([]byte, error) {
	// Asked before it is opened: opening a pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, fmt.Errorf("it has more than %d bytes", most)
	}
	return data, err
}
