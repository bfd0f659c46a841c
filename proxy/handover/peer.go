package handover

import (
	"fmt"
	"net"
	"os"
)

// trusted returns an error unless the other side runs as the same user or as root. A
// socket in the abstract namespace has no permissions of its own.
func trusted(c *net.UnixConn) error {
	uid, err := peerUID(c)
	if err != nil {
		return err
	}
	return mayTalk(uid, os.Getuid())
}

func mayTalk(peer, own int) error {
	if peer == own || peer == 0 {
		return nil
	}
	return fmt.Errorf("the other side runs as user %d, this one as %d: only the same user or root may hand over or take over", peer, own)
}
