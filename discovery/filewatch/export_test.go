package filewatch

// Deafen leaves a Watcher nothing but its polls.
func (w *Watcher) Deafen() {
	w.Close()
	w.notify = nil
}

var FoldersOf = foldersOf

func (w *Watcher) Look() bool { return w.look() }
