package netio

import "time"

// Peer is how the other side of a connection stands, as far as can be told without
// reading from it; see [Conn.Peer].
type Peer struct {
	State PeerState
	// Ended is how long ago the peer ended its side, and Heard how long ago its
	// last bytes came, to a few milliseconds; both are known where State is
	// PeerAnnounced or PeerEnded, and 0 where the system does not tell. What was sent to the peer
	// and acknowledged after the end makes Ended too short: it is never too long.
	// Over TLS the peer's last bytes are those that announce the end.
	Ended, Heard time.Duration
}

// PeerState says whether the peer sends, and whether it receives.
type PeerState uint8

const (
	// PeerOpen is a peer that may send more. An end behind bytes that nobody has
	// read is not seen.
	PeerOpen PeerState = iota
	// PeerAnnounced is a peer that sends no more, by a close_notify of TLS, and has
	// left the connection below open.
	PeerAnnounced
	// PeerEnded is a peer that sends no more, by a FIN. It may still receive.
	PeerEnded
	// PeerReset is a peer that neither sends nor receives.
	PeerReset
)
