package process

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are those that the process acts on, with a channel for each kind, so that a
// signal to end waits behind no other. A channel holds as many as matter: one more
// SIGHUP while one waits would only read the same configuration again.
type signals struct {
	end    chan os.Signal // SIGTERM, SIGINT: the first drains, the second ends at once
	reload chan os.Signal // SIGHUP
	reopen chan os.Signal // SIGUSR1
	again  chan os.Signal // SIGUSR2
}

// listenToSignals listens until the process is gone: by default each of these signals would
// kill it, and one that comes while it ends must not turn a good end into a bad one.
func listenToSignals() *signals {
	s := &signals{make(chan os.Signal, 2), make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.end, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	signal.Notify(s.reopen, syscall.SIGUSR1)
	signal.Notify(s.again, syscall.SIGUSR2)
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the logs is no reason to end
	return s
}
