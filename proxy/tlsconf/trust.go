package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
)

// Version returns a number that changes whenever the files were loaded anew.
func (s *Server) Version() uint64 { return s.version.Load() }

// Changed has f called whenever changed files have come into use, until stop is called. f
// runs in a goroutine of the Server's, and may still be running when stop returns.
func (s *Server) Changed(f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listening == nil {
		s.listening = map[*func()]struct{}{}
	}
	key := &f
	s.listening[key] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listening, key)
	}
}

func (s *Server) tell() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.listening))
	s.mu.Unlock()
	for _, f := range all {
		(*f)()
	}
}

// Trusts returns why a client with this certificate would not be let in now, by what was
// loaded last: its authority is no longer trusted, it was revoked, or it has expired. nil
// means that it would. others may link it to an authority. A client without a certificate
// is as trusted as before. The error is one for [ExplainServer].
func (s *Server) Trusts(leaf *x509.Certificate, others []*x509.Certificate) error {
	current := s.current.Load()
	if leaf == nil || current.config.ClientCAs == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range others {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: current.config.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: append([]*x509.Certificate{leaf}, others...), Err: err}
	}
	if err := letIn(s.patterns, leaf); err != nil {
		return err
	}
	return current.lists.check(chains)
}
