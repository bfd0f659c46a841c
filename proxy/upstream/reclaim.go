package upstream

// Reclaim closes up to n pooled connections to free descriptors, and returns how many. If
// there are none, it ends HTTP/2 connections without streams; that takes a moment, and
// they do not count.
func (g *Group) Reclaim(n int) (closed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := range g.endpoints {
		some := min(n-closed, len(e.idle))
		for _, c := range e.idle[:some] { // idle for longest
			c.nio.Done()
			g.open--
		}
		closed += some
		e.idle = append([]*Conn(nil), e.idle[some:]...)
		g.forget(e)
	}
	if closed > 0 {
		return closed
	}
	for e := range g.endpoints {
		if n > 0 && e.closeUnused() {
			n--
		}
	}
	return 0
}
