package listener

import "sync"

// servers are goroutines that serve connections, kept for the next one: a fresh
// goroutine's stack would have to grow each time.
type servers struct {
	next chan func() // taken by those that are parked

	mu     sync.Mutex
	parked int
	closed bool
}

// mostServers is how many are kept that have nothing to do.
const mostServers = 64

// run has serve called, without waiting.
func (s *servers) run(serve func()) {
	if s.pass(serve) {
		return
	}
	go func() {
		for ok := true; ok; serve, ok = <-s.next {
			serve()
			if !s.park() {
				return
			}
		}
	}()
}

// pass gives serve to one that is parked, if there is one.
func (s *servers) pass(serve func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.parked == 0 {
		return false
	}
	s.parked--
	s.next <- serve // there is room for as many as can be parked
	return true
}

// park reports whether there is a use for a goroutine that has nothing to do.
func (s *servers) park() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.parked >= mostServers {
		return false
	}
	s.parked++
	return true
}

// close ends those that are parked, and the others once they are done.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.next)
	}
}
