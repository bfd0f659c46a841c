package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/problem"
)

// maxFileBytes is the maximum size of a certificate file. A bundle of all authorities
// that browsers know has a quarter of a megabyte.
const maxFileBytes = 16 << 20

// Check is [Load] followed by [Config.CheckFiles]. Mistakes in files have the place of
// the key that names the file.
func Check(path string) (*Config, error) { return check(path, nil, nil) }

// CheckWithEndpoints is Check for people: it also checks the endpoint files of clusters,
// which a starting proxy may wait for. It passes each readable file to endpoints and
// reports its error line by line. If endpoints is nil, the files need only be readable.
func CheckWithEndpoints(path string, endpoints func(path string) error) (*Config, error) {
	return (*Environment)(nil).CheckWithEndpoints(path, endpoints)
}

func check(path string, endpoints func(path string) error, e *Environment) (*Config, error) {
	c, _, err := checkWatched(path, endpoints, e)
	return c, err
}

// checkWatched also returns the patterns of the files whose change is one of the
// configuration: those of routes, and those with users. It does so of a configuration with
// mistakes, too.
func checkWatched(path string, endpoints func(path string) error, e *Environment) (*Config, []string, error) {
	data, err := readFile(path, maxBytes+1)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	errs, root := &collector{file: path}, &place{line: 1, column: 1}
	c, err := parse(errs, root, data, e)
	if err != nil {
		return nil, errs.watched, err
	}
	errs.watched = append(slices.Clone(errs.watched), c.userFiles()...)
	checkFiles(errs, root, c)
	if endpoints != nil {
		checkEndpointFiles(errs, root, c, endpoints)
	}
	if err := errs.err(); err != nil {
		return nil, errs.watched, err
	}
	return c, errs.watched, nil
}

// CheckFiles reads the certificates, keys, revocation lists, tokens, error pages, answers,
// users and descriptors that the Config names, and returns [Errors] for unusable ones. It does not check what depends on time
// or on others, such as expiry, nor the files of endpoints, which may come later.
func (c *Config) CheckFiles() error {
	errs := &collector{}
	checkFiles(errs, &place{}, c)
	return errs.err()
}

func checkFiles(errs *collector, root *place, c *Config) {
	f := fileChecker{errs}
	for i, l := range c.Listeners {
		f.pages(root.key("listeners").item(i).key("error_pages"), &l)
		for j := range l.Routes {
			if a := l.Routes[j].Answer; a != nil {
				f.answer(root.key("listeners").item(i).key("routes").item(j).key("answer").key("file"), a.File)
			}
			f.users(root.key("listeners").item(i).key("routes").item(j).key("basic_auth"), l.Routes[j].BasicAuth)
			if t := l.Routes[j].Transcode; t != nil {
				f.transcode(root.key("listeners").item(i).key("routes").item(j).key("transcode").key("descriptors"), t)
			}
		}
		if l.TLS == nil {
			continue
		}
		p := root.key("listeners").item(i).key("tls")
		for j, pair := range l.TLS.Certificates {
			at := p.key("certificates").item(j)
			f.pair(at.key("cert"), at.key("key"), pair.Cert, pair.Key)
		}
		f.certificates(p.key("client_ca"), l.TLS.ClientCA)
		f.revocations(p.key("crl"), l.TLS.CRL)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Catalog.Auth)) {
		b := c.Catalog.Auth[name]
		f.users(root.key("catalog").key("auth").key(name), &b)
	}
	c.eachOTLP(root, f.otlp)
	f.admin(root, c)
	f.consul(root.key("consul"), &c.Consul)
	for _, name := range slices.Sorted(maps.Keys(c.Clusters)) {
		cluster, at := c.Clusters[name], root.key("clusters").key(name)
		if cluster.Consul != nil {
			f.consul(at.key("consul"), cluster.Consul)
		}
		if t := cluster.TLS; t != nil {
			p := at.key("tls")
			f.certificates(p.key("ca"), t.CA)
			f.pair(p.key("cert"), p.key("key"), t.Cert, t.Key)
			f.revocations(p.key("crl"), t.CRL)
		}
	}
}

func checkEndpointFiles(errs *collector, root *place, c *Config, endpoints func(path string) error) {
	f := fileChecker{errs}
	for _, name := range slices.Sorted(maps.Keys(c.Clusters)) {
		file := c.Clusters[name].File
		if file == nil {
			continue
		}
		at := root.key("clusters").key(name).key("file").key("path")
		if _, ok := f.read(at, file.Path); !ok {
			continue
		}
		if err := endpoints(file.Path); err != nil {
			for line := range strings.Lines(err.Error()) {
				errs.add(at, "%s", strings.TrimRight(line, "\n"))
			}
		}
	}
}

type fileChecker struct{ errs *collector }

// answer checks that a file does for the content of a response.
func (f fileChecker) answer(p *place, path string) {
	if content, ok := f.read(p, path); ok && len(content) > MaxAnswer {
		f.errs.add(p, "expected a file of at most %d bytes, found more", MaxAnswer)
	}
}

// read returns a file's content. It returns false if no file is named, or if it can't be
// read, which it reports.
func (f fileChecker) read(p *place, path string) ([]byte, bool) {
	if path == "" {
		return nil, false
	}
	data, err := readFile(path, maxFileBytes)
	if err == nil {
		return data, true
	}
	remedy := ""
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path) {
		remedy = "; a path is relative to the directory that hopscope is started in"
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is in the message
	}
	f.errs.add(p, "the file %q can not be read: %v%s", clip(path), err, remedy)
	return nil, false
}

// lines reports what is wrong with the lines of a file.
func (f fileChecker) lines(p *place, path string, err error) {
	for line := range strings.Lines(err.Error()) {
		f.errs.add(p, "the file %q: %s", clip(path), strings.TrimRight(line, "\n"))
	}
}

// pages checks a listener's error pages.
func (f fileChecker) pages(p *place, l *Listener) {
	for i := range l.ErrorPages {
		at := p.item(i).key("file")
		data, ok := f.read(at, l.ErrorPages[i].File)
		if !ok {
			continue
		}
		if _, err := problem.ParsePage(data, l.ProxyStatus == "append"); err != nil {
			f.errs.add(at, "the file %q is no error page: %v", clip(l.ErrorPages[i].File), err)
		}
	}
}

// admin checks the files of the admin API and of the mesh.
func (f fileChecker) admin(root *place, c *Config) {
	p := root.key("admin")
	f.tokens(p.key("token_file"), c.Admin.TokenFile)
	f.tokens(p.key("control_token_file"), c.Admin.ControlTokenFile)
	if t := c.Admin.TLS; t != nil {
		at := p.key("tls")
		f.pair(at.key("cert"), at.key("key"), t.Cert, t.Key)
		f.certificates(at.key("client_ca"), t.ClientCA)
	}
	if m := c.Mesh; m != nil {
		f.tokens(root.key("mesh").key("token_file"), m.TokenFile)
		if m.TLS != nil {
			at := root.key("mesh").key("tls")
			f.certificates(at.key("ca"), m.TLS.CA)
			f.pair(at.key("cert"), at.key("key"), m.TLS.Cert, m.TLS.Key)
		}
	}
}

// consul checks the files for connecting to a Consul agent.
func (f fileChecker) consul(p *place, c *Consul) {
	f.token(p.key("token_file"), c.TokenFile)
	if c.TLS != nil {
		at := p.key("tls")
		f.certificates(at.key("ca"), c.TLS.CA)
		f.pair(at.key("cert"), at.key("key"), c.TLS.Cert, c.TLS.Key)
	}
}

// token checks a file with one word, and never shows it.
func (f fileChecker) token(p *place, path string) {
	data, ok := f.read(p, path)
	if !ok {
		return
	}
	switch n := len(bytes.Fields(data)); {
	case n == 0:
		f.errs.add(p, "the file %q is empty; expected an ACL token", clip(path))
	case n > 1:
		f.errs.add(p, "the file %q has more than an ACL token: a token has no spaces and no line breaks", clip(path))
	}
}

// pair checks a certificate and its key.
func (f fileChecker) pair(certAt, keyAt *place, certPath, keyPath string) {
	cert, certOK := f.certificates(certAt, certPath)
	key, keyOK := f.read(keyAt, keyPath)
	if !certOK || !keyOK {
		return
	}
	// The certificate is good: what is wrong now is the key.
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		f.errs.add(keyAt, "the file %q is not the private key of %q: %v", clip(keyPath), clip(certPath), err)
	}
}

// certificates checks a file of one certificate or more, and returns its
// content.
func (f fileChecker) certificates(p *place, path string) (data []byte, ok bool) {
	data, ok = f.read(p, path)
	if !ok {
		return nil, false
	}
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			f.errs.add(p, "certificate %d in the file %q can not be parsed: %v", n, clip(path), err)
			return nil, false
		}
	}
	if n == 0 {
		f.errs.add(p, `the file %q has no certificate in PEM, which begins with "-----BEGIN CERTIFICATE-----"`, clip(path))
	}
	return data, n > 0
}

// revocations checks a file of revocation lists: several in PEM, or one in DER.
func (f fileChecker) revocations(p *place, path string) {
	data, ok := f.read(p, path)
	if !ok {
		return
	}
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		n++
		if _, err := x509.ParseRevocationList(block.Bytes); err != nil {
			f.errs.add(p, "revocation list %d in the file %q can not be parsed: %v", n, clip(path), err)
			return
		}
	}
	if n > 0 {
		return
	}
	if _, err := x509.ParseRevocationList(data); err != nil {
		f.errs.add(p, `the file %q has no revocation list, in PEM ("-----BEGIN X509 CRL-----") or DER`, clip(path))
	}
}
