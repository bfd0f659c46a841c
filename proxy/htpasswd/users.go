package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxFile is the most bytes of a file, and MaxPassword those of a password.
const (
	MaxFile     = 4 << 20
	MaxPassword = 512
)

const (
	maxName     = 255 // bytes of a user's name
	maxMistakes = 10  // of a file that are told
)

// Users are the users of a file. They are never changed.
type Users struct {
	hashes map[string]Hash
	// costly is the one of the hashes that takes longest to compare with.
	costly Hash
}

// Parse reads the content of a file. Empty lines, and those that begin with "#", say
// nothing. The error has a line for each mistake, which names its line of the file, but no
// hash.
func Parse(content []byte) (*Users, error) {
	if len(content) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	u := &Users{hashes: map[string]Hash{}}
	lines := map[string]int{}
	var mistakes []error
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		name, err := u.add(text, lines)
		if err == nil {
			lines[name] = number
		} else if len(mistakes) < maxMistakes {
			mistakes = append(mistakes, fmt.Errorf("line %d: %w", number, err))
		}
	}
	if len(mistakes) == 0 && len(u.hashes) == 0 {
		return nil, errors.New("it has no user: add one with htpasswd -B FILE NAME")
	}
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	return u, nil
}

// add adds the user of a line. lines are the lines of the users before.
func (u *Users) add(text string, lines map[string]int) (name string, err error) {
	name, hash, ok := strings.Cut(text, ":")
	switch {
	case !ok:
		return "", errors.New("expected NAME:HASH, as htpasswd writes it")
	case name == "" || len(name) > maxName || strings.ContainsFunc(name, isControl):
		return "", fmt.Errorf("a name has 1 to %d bytes, and no control characters", maxName)
	case lines[name] > 0:
		return "", fmt.Errorf("user %q is in line %d, too; remove one of them", name, lines[name])
	}
	h, err := parseHash(hash)
	if err != nil {
		return "", fmt.Errorf("user %q: %w", name, err)
	}
	h.user = name
	if u.hashes[name] = h; h.cost >= u.costly.cost {
		u.costly = h
	}
	return name, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Len is how many users there are.
func (u *Users) Len() int { return len(u.hashes) }

// Of returns the hash of a user's password. For a name that is not known it returns the hash that
// takes longest, so that whoever compares with it does not tell by the time whether there is
// such a user. Nil has no users.
func (u *Users) Of(name []byte) (h Hash, known bool) {
	if u == nil {
		return Hash{}, false
	}
	if h, known = u.hashes[string(name)]; known {
		return h, true
	}
	return u.costly, false
}
