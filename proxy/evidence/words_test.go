package evidence

import (
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

func TestSay(t *testing.T) {
	waited := Attempt{Who: "the application", Sent: true, Waited: 15 * s}
	partly, answered, broke, slow := waited, waited, waited, waited
	partly.Sent = false
	answered.Answered = true
	broke.Outcome = Broke
	slow.Outcome, slow.Answered = Slow, true
	cutOff := broke
	cutOff.Answered = true
	for _, c := range []struct {
		name    string
		attempt Attempt
		kernel  connection
		want    string
	}{
		{"acknowledged", waited, connection{heard: 16 * s}, "the endpoint has acknowledged the whole request, and sent nothing for 15 s"},
		{"acknowledged a part", partly, connection{heard: 16 * s}, "the endpoint has acknowledged all that was sent, and sent nothing for 15 s"},
		{"the clock of the kernel is coarse", waited, connection{heard: 15*s - 9*ms}, "the endpoint has acknowledged the whole request, and sent nothing for 15 s"},
		{"another stream was answered", waited, connection{heard: 100 * ms}, "the endpoint has acknowledged the whole request, and sent no response for 15 s, but its connection is alive: it sent something 100 ms ago"},
		{"the response stalls", answered, connection{heard: 5 * s}, "the endpoint has acknowledged the whole request, and sent nothing more for 5 s"},
		{"lost on the way", waited, connection{unacked: 118, retransmits: 5, allRetransmits: 6, heard: 14900 * ms}, "the endpoint acknowledges nothing: 5 retransmits, 118 bytes unacknowledged, nothing received for 14.9 s"},
		{"lost once", waited, connection{unacked: 1, retransmits: 1, heard: 300 * ms}, "the endpoint acknowledges nothing: 1 retransmit, 1 byte unacknowledged, nothing received for 300 ms"},
		{"not lost yet", waited, connection{unacked: 118, sent: 12 * ms}, "the endpoint has left 118 bytes unacknowledged for 12 ms"},
		{"its window is closed", partly, connection{unacked: 65536, unsent: 65536, probes: 3, heard: 16 * s}, "the endpoint takes no more: it has left 65536 bytes unacknowledged, 65536 of them not sent yet, and sent nothing for 15 s"},
		{"closed after the request", broke, connection{ended: true}, "the endpoint acknowledged the whole request before it closed the connection"},
		{"closed before the request", broke, connection{ended: true, unacked: 118}, "the endpoint closed the connection with 118 bytes unacknowledged"},
		{"closed within the response", cutOff, connection{ended: true}, ""},
		{"reset", broke, connection{gone: true}, ""},
		{"the stream was reset", broke, connection{}, ""},
		{"reset just now", waited, connection{gone: true}, ""},
		{"slow", slow, connection{rtt: 300 * time.Microsecond}, "the connection's round-trip time is 0.3 ms, and nothing was retransmitted"},
		{"slow on the way", slow, connection{rtt: 150 * ms, allRetransmits: 3}, "the connection's round-trip time is 150 ms, and 3 segments were retransmitted in its life"},
	} {
		if got := c.attempt.say(&c.kernel, nil, nil); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 40 * time.Microsecond: "0 ms", 60 * time.Microsecond: "0.1 ms", 1234 * time.Microsecond: "1.2 ms",
		120 * ms: "120 ms", 999 * ms: "999 ms", s: "1 s", 14949 * ms: "14.9 s", 15 * s: "15 s", 3 * time.Hour: "10800 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestSayWithinThisMachine(t *testing.T) {
	waited := Attempt{Who: "the application", Sent: true, Waited: 15 * s}
	broke, slow := waited, waited
	broke.Outcome, slow.Outcome = Broke, Slow
	near := connection{heard: 16 * s, sent: 15 * s}
	nobody, free, full := &listeners{}, &listeners{sockets: 1, limit: 128}, &listeners{sockets: 1, waiting: 128, limit: 128}
	for _, c := range []struct {
		name    string
		attempt Attempt
		near    connection
		far     *farEnd
		l       *listeners
		want    string
	}{
		{"not accepted", waited, near, &farEnd{unread: 118}, full, "the kernel took the connection, but the application has not accepted it (118 bytes wait); 128 connections wait to be accepted (the limit is 128)"},
		{"not accepted, and nothing sent", waited, near, &farEnd{}, free, "the kernel took the connection, but the application has not accepted it"},
		{"not accepted, and one byte sent", waited, near, &farEnd{unread: 1}, nil, "the kernel took the connection, but the application has not accepted it (1 byte waits)"},
		{"not read", waited, near, &farEnd{accepted: true, unread: 118}, free, "the kernel took the request, but the application has left 118 bytes unread for 15 s"},
		{"read", waited, near, &farEnd{accepted: true}, free, "the application has read the whole request, and sent nothing for 15 s"},
		{"not arrived", waited, connection{unacked: 118, sent: s}, &farEnd{accepted: true}, free, "the endpoint has left 118 bytes unacknowledged for 1 s"},
		{"not found", waited, near, nil, free, "the endpoint has acknowledged the whole request, and sent nothing for 15 s"},
		{"the queue alone is known", slow, near, nil, full, "128 connections wait to be accepted (the limit is 128)"},
		{"slow, and no reason is seen", slow, near, nil, free, ""},
		{"reset, and gone", broke, connection{gone: true}, nil, nobody, "nobody listens at its address any more"},
		{"reset, and still there", broke, connection{gone: true}, nil, free, ""},
	} {
		if got := c.attempt.say(&c.near, c.far, c.l); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
