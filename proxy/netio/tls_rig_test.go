package netio_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// encryption is how a transport is encrypted: in which version, and whether the
// Conn under test is the server.
type encryption struct {
	version uint16
	server  bool
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"hop.test"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// configs are those of the Conn and of its peer.
func (e encryption) configs() (near, far *tls.Config) {
	server := &tls.Config{
		Certificates:                []tls.Certificate{certificate()},
		MinVersion:                  e.version,
		MaxVersion:                  e.version,
		DynamicRecordSizingDisabled: true,
	}
	client := server.Clone()
	client.Certificates, client.InsecureSkipVerify = nil, true
	if e.server {
		return server, client
	}
	return client, server
}

// encrypt runs a handshake between the Conn and its peer.
func (e encryption) encrypt(t *testing.T, c *netio.Conn, far net.Conn) net.Conn {
	t.Helper()
	mine, its := e.configs()
	peer := newPeer(far, its, !e.server)
	shaken := make(chan error, 1)
	go func() { shaken <- peer.Handshake() }()
	state, err := c.StartTLS(mine, e.server, c.Now()+patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	if !state.HandshakeComplete || state.Version != e.version {
		t.Fatalf("a handshake of version %x, complete: %t", state.Version, state.HandshakeComplete)
	}
	return peer
}

// peer is a TLS connection of crypto/tls alone, whose sides close as those of a
// socket do.
type peer struct {
	*tls.Conn
	below net.Conn
}

func newPeer(below net.Conn, config *tls.Config, server bool) *peer {
	if server {
		return &peer{tls.Server(below, config), below}
	}
	return &peer{tls.Client(below, config), below}
}

func (p *peer) CloseWrite() error {
	p.Conn.CloseWrite()
	return p.below.(interface{ CloseWrite() error }).CloseWrite()
}

// below is the connection that is cut where an end is not to be announced.
func below(c net.Conn) net.Conn {
	if p, ok := c.(*peer); ok {
		return p.below
	}
	return c
}

// pairOf is two Conns that are each other's peers.
func pairOf(t testing.TB, tr transport) (one, other *netio.Conn) {
	t.Helper()
	shared := netio.NewShared()
	near, far := tr.pair(t)
	one, other = netio.New(near, shared), netio.New(far, shared)
	t.Cleanup(func() { near.Close(); far.Close() })
	if tr.tls == nil {
		return one, other
	}
	mine, its := tr.tls.configs()
	shaken := make(chan error, 1)
	go func() {
		_, err := other.StartTLS(its, !tr.tls.server, 0)
		shaken <- err
	}()
	if _, err := one.StartTLS(mine, tr.tls.server, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return one, other
}
