package process

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// systemd is the supervisor that wants to hear of the process's states, by the protocol of
// sd_notify(3). Without one, all of its methods do nothing.
type systemd struct {
	socket string        // empty without a supervisor
	alive  time.Duration // how often it wants to hear that the process lives; 0 is never
}

// notifyLimit is how long a message may take. systemd reads its socket at once.
const notifyLimit = time.Second

// supervisor reads what the supervisor left in the environment: NOTIFY_SOCKET, a path or "@"
// and a name in Linux's abstract namespace, and how long it waits for a sign of life,
// WATCHDOG_USEC, which is for the process WATCHDOG_PID if that is set.
func supervisor(getenv func(string) string, pid int) systemd {
	s := systemd{socket: getenv("NOTIFY_SOCKET")}
	if !strings.HasPrefix(s.socket, "/") && !strings.HasPrefix(s.socket, "@") {
		return systemd{}
	}
	of := getenv("WATCHDOG_PID")
	if limit, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && limit > 0 && (of == "" || of == strconv.Itoa(pid)) {
		s.alive = time.Duration(limit) * time.Microsecond / 2
	}
	return s
}

// tell sends states, one a line. A supervisor that is gone is none.
func (s systemd) tell(states ...string) {
	if s.socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: s.socket})
	if err != nil {
		return
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(notifyLimit))
	_, _ = c.Write([]byte(strings.Join(states, "\n"))) // nobody can be told
}

// ready says that the process serves. Only the first line of what comes of a reload fits.
func (s systemd) ready(status string) {
	status, _, _ = strings.Cut(status, "\n")
	s.tell("READY=1", "STATUS="+status)
}

// reloading says that a reload begins. systemd tells by the time whether it is the one that it
// asked for, as Type=notify-reload does.
func (s systemd) reloading() {
	if s.socket != "" {
		s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
	}
}

// stopping says that the process drains, to end.
func (s systemd) stopping() { s.tell("STOPPING=1", "STATUS=draining") }

// main says which process is the main one from now on. The one that was has to say so: by
// default systemd believes no other.
func (s systemd) main(pid int) { s.tell(fmt.Sprintf("MAINPID=%d", pid)) }

// signs returns a channel that is due whenever systemd wants a sign of life; stop it at the end.
func (s systemd) signs() (due <-chan time.Time, stop func()) {
	if s.alive <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(s.alive)
	return t.C, t.Stop
}

// lives is the sign of life.
func (s systemd) lives() { s.tell("WATCHDOG=1") }
