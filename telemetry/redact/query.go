package redact

import "bytes"

// AppendQuery appends query, which has no question mark, with the
// values of keys that name a credential or a signature replaced by [Mark]:
// those of OpenTelemetry's semantic conventions for url.query, and the usual
// ones for tokens, passwords and API keys. Everything else stays as it is.
//
// Keys are compared without case, percent-encoding and the characters - and _; in
// user[password] and user.password the last part counts. Both & and ; begin a new key,
// but only & ends a hidden value.
func AppendQuery(dst, query []byte) []byte {
	if bytes.IndexByte(query, '=') < 0 {
		return append(dst, query...)
	}
	for len(query) > 0 {
		end := bytes.IndexAny(query, "&;=")
		if end < 0 {
			return append(dst, query...)
		}
		key := query[:end]
		dst = append(dst, query[:end+1]...)
		separator := query[end]
		query = query[end+1:]
		if separator != '=' {
			continue
		}
		until := "&;"
		secret := namesSecret(key)
		if secret {
			dst, until = append(dst, Mark...), "&"
		}
		end = bytes.IndexAny(query, until)
		if end < 0 {
			end = len(query)
		} else {
			end++ // and the separator
		}
		switch {
		case !secret:
			dst = append(dst, query[:end]...)
		case end > 0 && query[end-1] == '&':
			dst = append(dst, '&')
		}
		query = query[end:]
	}
	return dst
}

// namesSecret reports whether the key is a known name of a credential, or ends with a
// name that only credentials end with: db_password, stripe_api_key.
func namesSecret(key []byte) bool {
	var name [48]byte // longer than every name below
	n, last := 0, 0   // bytes of the part being read, and of the one before it
	long := false
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c == '%' && i+2 < len(key) {
			hi, lo := unhex(key[i+1]), unhex(key[i+2])
			if hi < 16 && lo < 16 {
				c, i = hi<<4|lo, i+2
			}
		}
		switch {
		case c == '-' || c == '_' || c == ']':
			continue
		case c == '[' || c == '.':
			if n > 0 {
				last = n
			}
			n, long = 0, false
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if n == len(name) {
			long = true
			continue
		}
		name[n] = c
		n++
	}
	if n == 0 { // of "token[]", "token": nothing was written over it
		n = last
	}
	if long {
		return false
	}
	switch string(name[:n]) {
	case "awsaccesskeyid", "signature", "sig", "xgoogsignature", // OpenTelemetry
		"xgoogcredential", "googleaccessid",
		"xamzsignature", "xamzcredential", "xamzsecuritytoken",
		"token", "xconsultoken", "accesstoken", "idtoken", "refreshtoken", "authtoken", "bearertoken",
		"sessiontoken", "csrftoken", "xsrftoken", "privatetoken", "jwt", "assertion",
		"clientassertion", "samlresponse", "oauthtoken", "oauthsignature", "oauthverifier",
		"oauthtokensecret", "code", "codeverifier",
		"apikey", "xapikey", "accesskey", "secretkey", "privatekey", "secretaccesskey",
		"subscriptionkey", "authorization", "auth",
		"password", "passwd", "passphrase", "passcode", "pwd", "pass", "pin", "otp",
		"secret", "clientsecret", "credential", "credentials", "sessionid":
		return true
	}
	for _, end := range [...]string{"password", "passwd", "passphrase", "secret", "apikey", "accesskey", "secretkey", "privatekey"} {
		if bytes.HasSuffix(name[:n], []byte(end)) {
			return true
		}
	}
	return false
}

// unhex returns the value of a hex digit, 255 if c is not one.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
