package filewatch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links are followed, as in Linux.
const maxLinks = 40

// foldersOf lists the folders that decide where a path leads: that of each symbolic link on
// the way, and that of the file at its end. It goes as far as the path exists.
func foldersOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil // there is no working directory
	}
	var folders []string
	at, rest := "/", path
	for links := 0; ; {
		var step string
		step, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		switch step {
		case "":
			return folders
		case ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, step)
		info, err := os.Lstat(next)
		switch {
		case err != nil: // it may come to be here
			return append(folders, at)
		case info.Mode()&os.ModeSymlink != 0:
			folders = append(folders, at)
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return folders
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = target + "/" + rest
		case !info.IsDir():
			return append(folders, at)
		default:
			at = next
		}
	}
}
