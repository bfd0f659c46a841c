package htpasswd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apache "github.com/tg123/go-htpasswd"
	"golang.org/x/crypto/bcrypt"
)

// How much one comparison may cost. The time doubles with each step of bcrypt's cost: 12
// takes a quarter of a second, 15 two seconds. SHA-crypt takes as long with a few million
// rounds; its default is 5,000.
const (
	maxCost   = 15
	maxRounds = 2_000_000
	maxHash   = 255 // bytes of a hash
)

// Hash is the hash of a password.
type Hash struct {
	user    string
	text    string
	compare apache.EncodedPasswd
	cost    int // roughly, in rounds of a hash
}

// User is the name of the user whose password it is, as the file has it.
func (h Hash) User() string { return h.user }

// Text is the hash as the file has it. It is a secret.
func (h Hash) Text() string { return h.text }

// Matches reports whether a password is the one of the hash. How long that takes depends on
// the hash and the length of the password alone.
func (h Hash) Matches(password string) bool {
	return h.compare != nil && h.compare.MatchesPassword(password)
}

// scheme is a way to hash passwords.
type scheme struct {
	prefixes []string
	parse    apache.PasswdParser
	// cost is what a comparison costs, or what is wrong with the hash.
	cost func(text string) (int, error)
}

var errMalformed = errors.New("its hash is malformed: write it anew, with htpasswd -B FILE NAME")

var schemes = [...]scheme{
	{[]string{"$2a$", "$2b$", "$2y$"}, apache.AcceptBcrypt, bcryptCost},
	{[]string{"$apr1$", "$1$"}, apache.AcceptMd5, func(text string) (int, error) { return 1000, wellFormed(text, 22, false) }},
	{[]string{"$5$"}, apache.AcceptCryptSha, func(text string) (int, error) { return shaRounds(text, 43) }},
	{[]string{"$6$"}, apache.AcceptCryptSha, func(text string) (int, error) { return shaRounds(text, 86) }},
	{[]string{"{SHA}"}, apache.AcceptSha, func(string) (int, error) { return 1, nil }},
	{[]string{"{SSHA}"}, apache.AcceptSsha, func(string) (int, error) { return 1, nil }},
}

// parseHash reads a hash. The error does not have it.
func parseHash(text string) (Hash, error) {
	for _, s := range schemes {
		for _, prefix := range s.prefixes {
			if !strings.HasPrefix(text, prefix) {
				continue
			}
			if len(text) > maxHash {
				return Hash{}, errMalformed
			}
			cost, err := s.cost(text)
			if err != nil {
				return Hash{}, err
			}
			compare, err := s.parse(text)
			if err != nil || compare == nil {
				return Hash{}, errMalformed
			}
			return Hash{text: text, compare: compare, cost: cost}, nil
		}
	}
	return Hash{}, errors.New("its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME")
}

func bcryptCost(text string) (int, error) {
	cost, err := bcrypt.Cost([]byte(text))
	switch {
	case err != nil || len(text) != 60 || strings.Trim(text[29:], digits) != "" || strings.Trim(text[7:29], digits) != "":
		return 0, errMalformed
	case cost > maxCost:
		return 0, fmt.Errorf("bcrypt with a cost of %d takes too long: the most is %d", cost, maxCost)
	}
	return 1000 << max(cost-4, 0), nil
}

// digits are those of crypt's base 64.
const digits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// wellFormed checks $ID$SALT$HASH, with a hash of so many digits. With rounds, there may be
// a part for them before the salt.
func wellFormed(text string, length int, rounds bool) error {
	parts := strings.Split(text, "$")
	if rounds && len(parts) == 5 {
		parts = slices.Delete(parts, 2, 3)
	}
	if len(parts) != 4 || parts[2] == "" || len(parts[3]) != length || strings.Trim(parts[3], digits) != "" {
		return errMalformed
	}
	return nil
}

// shaRounds are the rounds that a hash of SHA-crypt says, or else its default.
func shaRounds(text string, length int) (int, error) {
	rounds := 5000
	said, ok := strings.CutPrefix(text[3:], "rounds=")
	if ok {
		said, _, _ = strings.Cut(said, "$")
		var err error
		if rounds, err = strconv.Atoi(said); err != nil || rounds < 1000 || strconv.Itoa(rounds) != said {
			return 0, errMalformed
		}
	}
	if rounds > maxRounds {
		return 0, fmt.Errorf("%d rounds take too long: the most is %d", rounds, maxRounds)
	}
	return rounds, wellFormed(text, length, ok)
}
