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
		if got := c.attempt.say(&c.kernel); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 40 * time.Microsecond: "0 ms", 60 * time.Microsecond: "0.1 ms", 1234 * time.Microsecond: "1.2 ms",
		120 * ms: "120 ms", 999 * ms: "999 ms", s: "1 s", 14949 * ms: "14.9 s", 15 * s: "15 s", 3 * time.Hour: "10800 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
