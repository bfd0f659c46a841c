package listener

import (
	"sync"
	"testing"
)

// TestServersAreKept runs many at once, several times: those that end are there for
// the next, as far as they are kept, and end with close.
func TestServersAreKept(t *testing.T) {
	s := servers{next: make(chan func(), mostServers)}
	for range 3 {
		var done sync.WaitGroup
		begin := make(chan struct{})
		done.Add(2 * mostServers)
		for range 2 * mostServers {
			s.run(func() {
				<-begin
				done.Done()
			})
		}
		close(begin)
		done.Wait()
	}
	s.close()
	s.close()
}
