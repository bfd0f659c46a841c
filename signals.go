package main

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are what the process is told from outside. Each kind has a channel of its
// own: a signal to end waits behind no other, and none of any other kind is lost by
// waiting, since reading the configuration or opening the log once more is enough.
type signals struct {
	end    chan os.Signal // SIGTERM, SIGINT: the first to drain, the second to end at once
	reload chan os.Signal // SIGHUP
	reopen chan os.Signal // SIGUSR1
}

func listenToSignals() *signals {
	s := &signals{make(chan os.Signal, 2), make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.end, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	signal.Notify(s.reopen, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the logs is no reason to end
	return s
}

func (s *signals) stop() {
	signal.Stop(s.end)
	signal.Stop(s.reload)
	signal.Stop(s.reopen)
}
