package netio

import "time"

// Peer is the state of the other side of a connection, as far as it is known without
// reading; see [Conn.Peer].
type Peer struct {
	State PeerState
	// Ended is how long ago the peer ended its side, Heard how long ago its last bytes
	// came, to a few milliseconds. Both are set if State is PeerAnnounced or PeerEnded,
	// and 0 if the system does not tell. If the peer acknowledged bytes after it ended
	// its side, Ended is too short; it is never too long. Over TLS the peer's last bytes
	// are its close_notify.
	Ended, Heard time.Duration
}

// PeerState says whether the peer sends, and whether it receives.
type PeerState uint8

const (
	// PeerOpen is a peer that may send more. An end behind unread bytes is not seen.
	PeerOpen PeerState = iota
	// PeerAnnounced is a peer that sent a TLS close_notify and no FIN. It sends no more.
	PeerAnnounced
	// PeerEnded is a peer that sent a FIN. It sends no more, but may still receive.
	PeerEnded
	// PeerReset is a peer that neither sends nor receives.
	PeerReset
)
