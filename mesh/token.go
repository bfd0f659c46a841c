package mesh

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hopscope/hopscope/discovery/filewatch"
)

// The limits on a file of tokens. A token that can be guessed is worse than none.
const (
	minToken  = 16
	maxToken  = 4 << 10
	maxTokens = 16
)

// lookEvery is how often a file of tokens is read at most.
const lookEvery = time.Second

// Tokens are the tokens in a file, one a line. The file is read again while it is in use,
// so that tokens can be replaced: when it can't be read, those from before count. Tokens are
// never part of an error. It is safe for concurrent use.
type Tokens struct {
	path string

	mu   sync.Mutex
	read time.Time // when the file was last read
	all  [][]byte
}

// OpenTokens reads a file of tokens. The error says what is wrong with it.
func OpenTokens(path string) (*Tokens, error) {
	all, err := readTokens(path)
	if err != nil {
		return nil, err
	}
	return &Tokens{path: path, read: time.Now(), all: all}, nil
}

// First is the token to show: the first of the file.
func (t *Tokens) First() string { return string(t.now()[0]) }

// Has reports whether a token is one of the file's. How long it takes says nothing of what
// is right about a wrong one.
func (t *Tokens) Has(token string) bool { return t.HasSum(sha256.Sum256([]byte(token))) }

// HasSum is Has for who knows the token's SHA-256 only.
func (t *Tokens) HasSum(sum [sha256.Size]byte) bool {
	found := 0
	for _, one := range t.now() {
		own := sha256.Sum256(one)
		found |= subtle.ConstantTimeCompare(sum[:], own[:])
	}
	return found == 1
}

// now returns the tokens of the file, which are not to be changed.
func (t *Tokens) now() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.read) >= lookEvery {
		t.read = time.Now()
		if all, err := readTokens(t.path); err == nil {
			t.all = all
		}
	}
	return t.all
}

func readTokens(path string) ([][]byte, error) {
	data, err := filewatch.Read(path, maxTokens*(maxToken+2))
	if err != nil {
		return nil, err
	}
	all := bytes.Fields(data)
	if len(all) == 0 || len(all) > maxTokens {
		return nil, fmt.Errorf("the file %q has %d tokens: it needs 1 to %d, one a line", path, len(all), maxTokens)
	}
	for _, token := range all {
		if err := checkToken(token); err != nil {
			return nil, fmt.Errorf("the file %q: %w", path, err)
		}
	}
	return all, nil
}

func checkToken(token []byte) error {
	if len(token) < minToken || len(token) > maxToken {
		return fmt.Errorf("a token has %d to %d characters, such as openssl rand -hex 32 prints", minToken, maxToken)
	}
	for _, c := range token {
		if c <= ' ' || c > '~' {
			return errors.New("a token has ASCII letters, digits and signs only")
		}
	}
	return nil
}
