package htpasswd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/htpasswd"
)

// All of them are of the password "secret", and made by openssl passwd and crypt(3).
const hashes = `
bcrypt:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW
apr1:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/
md5:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1
sha256:$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.
sha256-rounds:$5$rounds=1000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA
sha512:$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.
sha512-rounds:$6$rounds=1000$saltstring$2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0
sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
ssha:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0
`

func TestHashes(t *testing.T) {
	u, err := htpasswd.Parse([]byte("# comment\r\n" + hashes))
	if err != nil {
		t.Fatal(err)
	}
	if u.Len() != 9 {
		t.Errorf("there are %d users", u.Len())
	}
	for line := range strings.Lines(strings.TrimSpace(hashes)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		h, known := u.Of([]byte(name))
		if !known || h.User() != name || h.Text() != text {
			t.Errorf("%s: known %t, user %q, hash %q", name, known, h.User(), h.Text())
		}
		for password, want := range map[string]bool{"secret": true, "Secret": false, "secre": false, "secret ": false, "": false} {
			if h.Matches(password) != want {
				t.Errorf("%s: %q matches: %t", name, password, !want)
			}
		}
	}
	decoy, known := u.Of([]byte("nobody"))
	if known || decoy.Text() == "" {
		t.Errorf("a name that is not known is known: %t, or has no hash", known)
	}
	if strings.HasPrefix(decoy.Text(), "{SHA}") {
		t.Error("a name that is not known is told by the time")
	}
}

func TestMistakes(t *testing.T) {
	const good = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"
	many := strings.Repeat("bob\n", 30)
	for name, tt := range map[string]struct{ content, want string }{
		"empty":              {"", "it has no user: add one with htpasswd -B FILE NAME"},
		"comments only":      {"# ann\n\n", "it has no user: add one with htpasswd -B FILE NAME"},
		"no colon":           {good + "bob\n", "line 2: expected NAME:HASH, as htpasswd writes it"},
		"no name":            {":x", "line 1: a name has 1 to 255 bytes, and no control characters"},
		"long name":          {strings.Repeat("n", 256) + ":x", "line 1: a name has 1 to 255 bytes, and no control characters"},
		"a tab in a name":    {good + "\n\nb\tb:x", "line 4: a name has 1 to 255 bytes, and no control characters"},
		"twice":              {good + "#\n" + good, `line 3: user "ann" is in line 1, too; remove one of them`},
		"plain text":         {good + "bob:hunter2", `line 2: user "bob": its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME`},
		"DES":                {"bob:rqXexS6ZhobKA", `line 1: user "bob": its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME`},
		"no password":        {"bob:", `line 1: user "bob": its password is in plain text, or hashed in a way that is not known: write its hash, with htpasswd -B FILE NAME`},
		"short bcrypt":       {"bob:$2y$05$abc", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"bcrypt of no digit": {"bob:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WI!W", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"costly bcrypt":      {"bob:$2b$16$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", `line 1: user "bob": bcrypt with a cost of 16 takes too long: the most is 15`},
		"short MD5":          {"bob:$apr1$abcdefgh$h9FW", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"MD5 without salt":   {"bob:$apr1$h9FWgUz3n9YxylKLlR5SQ/", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"costly SHA-crypt":   {"bob:$5$rounds=9000000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA", `line 1: user "bob": 9000000 rounds take too long: the most is 2000000`},
		"few rounds":         {"bob:$5$rounds=10$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"rounds with a zero": {"bob:$5$rounds=05000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"empty salt":         {"bob:$5$$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"short SHA":          {"bob:{SHA}5en6", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"a part too many":    {"bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:x", `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"too long":           {"bob:$6$" + strings.Repeat("a", 300), `line 1: user "bob": its hash is malformed: write it anew, with htpasswd -B FILE NAME`},
		"two":                {"bob\n" + good + "eve\n", "line 1: expected NAME:HASH, as htpasswd writes it\nline 3: expected NAME:HASH, as htpasswd writes it"},
		"many":               {many, manyMistakes(10)},
		"too large":          {strings.Repeat("#", htpasswd.MaxFile+1), "it has more than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := htpasswd.Parse([]byte(tt.content))
			if err == nil || err.Error() != tt.want || u != nil {
				t.Errorf("%v, %v, want the error %s", u, err, tt.want)
			}
		})
	}
}

// manyMistakes are those of so many lines without a colon.
func manyMistakes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d: expected NAME:HASH, as htpasswd writes it\n", i+1)
	}
	return strings.TrimSpace(b.String())
}

// What is parsed can be compared with, without a panic, and is what the file says.
func FuzzParse(f *testing.F) {
	for line := range strings.Lines(hashes) {
		f.Add([]byte(line), "secret")
	}
	f.Add([]byte("a:$6$rounds=1000$$x"), "")
	f.Fuzz(func(t *testing.T, content []byte, password string) {
		u, err := htpasswd.Parse(content)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(content)) {
			name, text, _ := strings.Cut(strings.TrimSpace(line), ":")
			h, known := u.Of([]byte(name))
			if !known {
				continue
			}
			if h.Text() != text {
				t.Errorf("the hash of %q is %q, not %q", name, h.Text(), text)
			}
			if cheap(text) {
				h.Matches(password[:min(len(password), htpasswd.MaxPassword)])
			}
		}
	})
}

// cheap reports whether comparing with a hash takes no longer than a fuzz test has.
func cheap(text string) bool {
	if strings.HasPrefix(text, "$2") {
		return text[4:6] <= "06"
	}
	_, rounds, ok := strings.Cut(text, "rounds=")
	return !ok || len(rounds) > 5 && rounds[4] == '$'
}
