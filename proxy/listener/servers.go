package listener

import "sync"

// servers are goroutines that serve connections, kept for the next one: a fresh
// goroutine's stack would have to grow each time.
type servers struct {
	next chan func() // parked goroutines receive from it

	mu     sync.Mutex
	parked int
	closed bool
}

// mostServers is how many goroutines without work are kept.
const mostServers = 64

// run calls serve in one of the goroutines. It does not wait.
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

// pass gives serve to a parked goroutine, if there is one.
func (s *servers) pass(serve func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.parked == 0 {
		return false
	}
	s.parked--
	s.next <- serve // never blocks: it has room for every parked goroutine
	return true
}

// park reports whether a goroutine without work should wait for more.
func (s *servers) park() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.parked >= mostServers {
		return false
	}
	s.parked++
	return true
}

// close ends the parked goroutines now, and the others once they are done.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.next)
	}
}
