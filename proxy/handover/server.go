package handover

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// Offer is what a Server hands over.
type Offer struct {
	// Version is this hopscope's version.
	Version string
	// Sockets returns copies of the sockets. The Server closes them.
	Sockets func() ([]Socket, error)
	// Memory returns state of this process for the other one; nil is none. The package
	// does not interpret it. An error is logged, and no state is handed over.
	Memory func() ([]byte, error)
	Log    *slog.Logger
	// ReadyTime is how long the other process may take until it serves. After that this
	// process goes on, and another may try. 0 is one minute: a new process waits a few
	// seconds for endpoints and their health.
	ReadyTime time.Duration
}

// readyTime is the default of [Offer.ReadyTime].
const readyTime = time.Minute

// The kinds that the Server itself adds: its socket, and the state of the process.
const (
	ofServer = "upgrade"
	ofMemory = "memory"
)

// Server hands the sockets of this process to another one, and tells when that one serves
// on them. This process goes on serving until then, and if the other fails.
type Server struct {
	socket *net.UnixListener
	turn   chan struct{} // full while somebody is taking over
	taken  chan Successor
	done   sync.WaitGroup

	mu     sync.Mutex
	conns  map[*net.UnixConn]struct{}
	closed bool
}

// Peer is the process on the other side.
type Peer struct {
	Version string
	PID     int
}

// Successor is the process that has taken over.
type Successor struct {
	Peer
	// Registered lists what it has registered in a catalog; nil if it does not say.
	Registered *[]string
}

func newServer(socket *net.UnixListener) *Server {
	return &Server{socket: socket, turn: make(chan struct{}, 1), taken: make(chan Successor, 1), conns: map[*net.UnixConn]struct{}{}}
}

// Taken delivers the process that has taken over. This process should then end.
func (s *Server) Taken() <-chan Successor { return s.taken }

// Serve answers until the Server is closed, or another process has taken over.
func (s *Server) Serve(o Offer) {
	for {
		c, err := s.socket.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, most likely
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if !s.begin(c) {
			return
		}
		go func() {
			defer s.end(c)
			if err := s.answer(c, o); err != nil {
				o.Log.Warn("nobody took over: this process goes on", "error", err)
			}
		}()
	}
}

func (s *Server) begin(c *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	s.done.Add(1)
	return true
}

func (s *Server) end(c *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	c.Close()
	s.done.Done()
}

// Close ends the Server. A process that is just taking over goes on without this one.
func (s *Server) Close() {
	s.close()
	s.done.Wait()
}

func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.socket.Close()
	for c := range s.conns {
		c.SetDeadline(time.Unix(1, 0))
	}
}

// wait sets the deadline for the other side's next message. A closed Server waits for
// nobody.
func (s *Server) wait(c *net.UnixConn, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		c.SetDeadline(until)
	}
}

// answer runs the conversation with a process that takes over.
func (s *Server) answer(c *net.UnixConn, o Offer) error {
	s.wait(c, time.Now().Add(answerTime))
	if err := trusted(c); err != nil {
		return errors.Join(err, send(c, message{Error: err.Error()}, nil))
	}
	m, fds, err := receive(c)
	if err != nil {
		return fmt.Errorf("reading the request to take over: %w", err)
	}
	closeAll(fds) // none are expected
	peer := Peer{m.Version, m.PID}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-time.After(turnTime):
		err := errors.New("another process is taking over already")
		return errors.Join(err, send(c, message{Error: err.Error()}, nil))
	}
	o.Log.Info("another process takes over", "pid", peer.PID, "version", peer.Version)
	if err := s.offer(c, o); err != nil {
		return fmt.Errorf("handing over to process %d: %w", peer.PID, err)
	}
	// If the process ends, so does the connection; but it may hang.
	patience := cmp.Or(o.ReadyTime, readyTime)
	s.wait(c, time.Now().Add(patience))
	m, fds, err = receive(c)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.isClosed():
		err := fmt.Errorf("process %d was not ready within %s", peer.PID, patience)
		s.wait(c, time.Now().Add(answerTime))
		return errors.Join(err, send(c, message{Error: err.Error()}, nil))
	case err != nil:
		return fmt.Errorf("process %d gave up before it was ready: %w", peer.PID, err)
	}
	closeAll(fds)
	if m.State != isReady {
		return fmt.Errorf("process %d says %q instead of ready", peer.PID, m.State)
	}
	s.wait(c, time.Now().Add(answerTime))
	// A process that does not receive this ends itself, or has ended.
	if err := send(c, message{Protocol: protocol, State: isRetiring}, nil); err != nil {
		return fmt.Errorf("process %d did not wait for the answer: %w", peer.PID, err)
	}
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed { // this process ends anyway
		return nil
	}
	s.socket.SetUnlinkOnClose(false) // the other process owns it now
	s.socket.Close()
	s.taken <- Successor{peer, m.Registered}
	return nil
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// offer sends the sockets.
func (s *Server) offer(c *net.UnixConn, o Offer) error {
	all, err := o.Sockets()
	defer func() {
		for _, socket := range all {
			socket.Listener.Close()
		}
	}()
	if err != nil {
		return errors.Join(err, send(c, message{Error: err.Error()}, nil))
	}
	m := hello(o.Version)
	var fds []int
	defer func() { closeAll(fds) }()
	for _, socket := range append(all[:len(all):len(all)], Socket{Kind: ofServer, Address: s.socket.Addr().String(), Listener: s.socket}) {
		fd, err := dup(socket.Listener)
		if err != nil {
			return errors.Join(err, send(c, message{Error: err.Error()}, nil))
		}
		fds = append(fds, fd)
		m.Sockets = append(m.Sockets, described{socket.Kind, socket.Name, socket.Address})
	}
	if fd, err := remembered(o); err != nil {
		o.Log.Warn("can't hand over the state of this process: the other one starts without it", "error", err)
	} else if fd >= 0 {
		fds = append(fds, fd)
		m.Sockets = append(m.Sockets, described{Kind: ofMemory})
	}
	return send(c, m, fds)
}

// remembered returns a file with this process's state, -1 for none.
func remembered(o Offer) (fd int, err error) {
	if o.Memory == nil {
		return -1, nil
	}
	data, err := o.Memory()
	if err != nil || data == nil {
		return -1, err
	}
	return memoryFile(data)
}
