//go:build !linux || !amd64

package process

import "errors"

func codeToHugePages() (int, error) {
	return 0, errors.New("hopscope knows how only on Linux with x86-64")
}
