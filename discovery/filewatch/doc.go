// Package filewatch tells when the content of files changes, however that happens: a file
// is written in place, replaced by another, deleted and made again, or a symbolic link that
// leads to it changes, as Kubernetes does with "..data".
//
// It does not know what the files hold, and says no more than that some content changed.
// Its caller reads the files. Start reading at [Watcher].
package filewatch
