// Package filewatch sees the content of files change, by whatever way: written
// in place, replaced by another file, deleted and made again, or by a change of
// the symbolic links that lead to them, as Kubernetes does with "..data".
//
// It knows nothing of what the files hold, and tells no more than that some
// content changed: who watches reads the files itself. Start reading at
// [Watcher].
package filewatch
