package config

import (
	"errors"
	"strings"
)

// Compress compresses responses for clients that accept it (Accept-Encoding), as they pass.
// It leaves alone: content that has an encoding, whose type is not listed, or that is known
// to be short; the statuses 204, 206 and 304; responses to HEAD; gRPC; and Cache-Control:
// no-transform. What is flushed by the endpoint, such as an event, is sent at once. A strong
// ETag becomes a weak one, and Vary has accept-encoding. Each response that is compressed
// takes 1 MiB of the budget for clients (see overload); without room it is sent as it is.
// Do not compress pages that have both a secret, such as a CSRF token, and what the
// client sent: who sees the length of encrypted responses can guess the secret (BREACH).
type Compress struct {
	// Algorithms are those that are offered. Of those that the client wants alike the first
	// is taken.
	Algorithms []string `yaml:"algorithms" default:"zstd,br,gzip" enum:"zstd,br,gzip"`
	// MinBytes is the least length of content that is compressed, in bytes. Content whose
	// length is not told is compressed in any case.
	MinBytes int `yaml:"min_bytes" default:"1024" min:"0"`
	// Types are the media types that are compressed; "text/*" is all of text.
	Types []string `yaml:"types" default:"text/*,application/json,application/javascript,application/xml,application/xhtml+xml,application/problem+json,image/svg+xml" format:"media type"`
}

// NewCompress returns compression with every default in place.
func NewCompress() *Compress {
	c := withDefaults[Compress]()
	return &c
}

// checkMediaType checks a type that has no parameters.
func checkMediaType(s string) error {
	kind, sub, ok := strings.Cut(s, "/")
	switch {
	case !ok:
		return errors.New(`it has no "/"`)
	case strings.ContainsAny(s, "; "):
		return errors.New("parameters are not compared: leave them out")
	case !isToken(kind) || !isToken(sub) || strings.Contains(kind, "*") || strings.Contains(sub, "*") && sub != "*":
		return errors.New(`it is no media type, nor one with "*" behind the "/"`)
	}
	return nil
}

// suggestMediaType knows types with parameters.
func suggestMediaType(s string) string {
	kind, _, _ := strings.Cut(s, ";")
	if kind = strings.TrimSpace(kind); kind != s && checkMediaType(kind) == nil {
		return kind
	}
	return ""
}

// compress checks what spans the keys of compress.
func (v validator) compress(p *place, c *Compress) {
	if c == nil {
		return
	}
	if len(c.Algorithms) == 0 && !p.key("algorithms").failed {
		v.errs.add(p.key("algorithms"), `must not be empty; expected some of "zstd", "br" and "gzip": remove the key for all`)
	}
	if len(c.Types) == 0 && !p.key("types").failed {
		v.errs.add(p.key("types"), "must not be empty; remove the key for the default")
	}
}
