package admin

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How the answers of the whole mesh are shared: so many are put together at once, each in so
// much time; one is given to all who ask for it within meshFresh, as long as all that are
// kept have at most maxKept bytes.
const (
	maxMesh   = 4
	meshTime  = 3 * time.Second
	meshFresh = time.Second
	// seriesFresh is the same for the history, which is long, and whose windows are longer.
	seriesFresh = 5 * time.Second
	maxKept     = 16 << 20
)

// errBusy says that too many different answers are being put together.
var errBusy = errors.New("too many ask for this at once")

// shared has answers that many ask for at the same time made once.
type shared struct {
	lane lane

	mu   sync.Mutex
	all  map[string]*making
	kept int // bytes
}

// making is an answer that is being made, or was a moment ago.
type making struct {
	cancel  context.CancelFunc
	done    chan struct{}
	waiting int
	prepared
	err error
}

// prepared is a status and a body in JSON.
type prepared struct {
	status int
	body   []byte
}

func newShared() *shared {
	return &shared{lane: make(lane, maxMesh), all: map[string]*making{}}
}

// get returns the answer to a question, which build makes unless somebody else has asked the
// same within fresh. It ends when ctx does. When nobody waits any more, building is given up.
func (s *shared) get(ctx context.Context, question string, fresh time.Duration, build func(context.Context) prepared) (prepared, error) {
	s.mu.Lock()
	m := s.all[question]
	if m == nil {
		its, cancel := context.WithCancel(context.Background())
		m = &making{cancel: cancel, done: make(chan struct{})}
		s.all[question] = m
		go s.make(its, question, m, fresh, build)
	}
	m.waiting++
	s.mu.Unlock()
	select {
	case <-m.done:
		return m.prepared, m.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	m.waiting--
	last := m.waiting == 0
	if last && s.all[question] == m {
		delete(s.all, question) // whoever comes now needs another
	}
	s.mu.Unlock()
	if last {
		m.cancel()
		<-m.done // so that nothing is left behind
	}
	return prepared{}, ctx.Err()
}

// make makes an answer, and keeps it for a moment.
func (s *shared) make(ctx context.Context, question string, m *making, fresh time.Duration, build func(context.Context) prepared) {
	defer close(m.done)
	defer m.cancel()
	if m.err = errBusy; s.lane.enter(ctx) {
		defer s.lane.leave()
		ctx, cancel := context.WithTimeout(ctx, meshTime)
		defer cancel()
		m.prepared, m.err = build(ctx), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(m.body)
	if s.all[question] != m {
		return
	}
	if m.err != nil || s.kept+size > maxKept {
		delete(s.all, question)
		return
	}
	s.kept += size
	time.AfterFunc(fresh, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.kept -= size
		delete(s.all, question)
	})
}
