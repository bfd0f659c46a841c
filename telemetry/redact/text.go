package redact

import "strings"

// Mark replaces what is hidden.
const Mark = "REDACTED"

// minValue is the minimum length of a secret that [Values] looks for: shorter ones are
// part of too many words.
const minValue = 4

// Names reports whether a key of this name holds a credential: token, api_key,
// db_password.
func Names(key string) bool { return namesSecret([]byte(key)) }

// URL hides the user and password of a URL, all values of its query, and its fragment,
// even if the URL can't be parsed. Use it for configured URLs: their parameters may have
// any names.
func URL(s string) string {
	if before, fragment, ok := strings.Cut(s, "#"); ok && !strings.Contains(fragment, "@") {
		s = before + "#" + Mark
	}
	rest, query, hasQuery := cutQuery(s)
	if rest = hideUser(rest); !hasQuery {
		return rest
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			pairs[i] = name + "=" + Mark
		}
	}
	return rest + "?" + strings.Join(pairs, "&")
}

// cutQuery cuts a URL at its query. If there is no path and an @ comes later, it takes
// the question mark for part of an unencoded password.
func cutQuery(s string) (rest, query string, ok bool) {
	rest, query, ok = strings.Cut(s, "?")
	_, authority, _ := strings.Cut(rest, "://")
	if at := strings.LastIndexByte(s, '@'); ok && at > len(rest) && !strings.ContainsAny(authority, "/@") {
		rest, query, ok = strings.Cut(s[at:], "?")
		return s[:at] + rest, query, ok
	}
	return rest, query, ok
}

// hideUser hides everything before the last @, except a scheme.
func hideUser(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	start := 0
	if i := strings.Index(s, "://"); i >= 0 && i < at {
		start = i + len("://")
	}
	return s[:start] + Mark + s[at:]
}

// Text hides credentials in any text: the user and password of each URL, and each value
// after the name of a credential and an equals sign. Everything else stays as it is.
func Text(s string) string {
	if !strings.Contains(s, "=") && !strings.Contains(s, "://") {
		return s
	}
	var b strings.Builder
	for s != "" {
		word := s
		if i := strings.IndexAny(s, between); i >= 0 {
			word = s[:i]
		}
		b.WriteString(hideWord(word))
		if s = s[len(word):]; s != "" {
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String()
}

// between are the characters that end a URL in a text.
const between = " \t\r\n\"'`<>\\"

// hideWord hides secrets in a word without blanks.
func hideWord(word string) string {
	i := strings.Index(word, "://")
	if i >= 0 {
		before, query, hasQuery := cutQuery(word)
		if before = hideUser(before); !hasQuery {
			return before
		}
		return before + "?" + string(AppendQuery(nil, []byte(query)))
	}
	before, query, hasQuery := strings.Cut(word, "?")
	if hasQuery {
		return string(AppendQuery([]byte(before+"?"), []byte(query)))
	}
	// A name may have brackets and the like in front of it: (token=x).
	start := strings.LastIndexAny(before[:max(strings.IndexByte(before, '='), 0)], "([{,;:") + 1
	return string(AppendQuery([]byte(before[:start]), []byte(before[start:])))
}

// Values hides each of the secrets wherever it appears in the text. It ignores secrets of
// less than four bytes.
func Values(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= minValue {
			text = strings.ReplaceAll(text, secret, Mark)
		}
	}
	return text
}

// Error returns err with its text redacted by [Text] and [Values]. It still unwraps to
// err.
func Error(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	if text := Values(Text(was), secrets...); text != was {
		return &redacted{text, err}
	}
	return err
}

type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }
