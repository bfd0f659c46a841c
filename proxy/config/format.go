package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// format is a kind of string that a format tag names.
type format struct {
	expected string // for "expected ..., found ..."
	pattern  string // for the JSON Schema: no stricter than check
	check    func(string) error
	suggest  func(string) string // what was likely meant, or ""; may be nil
}

func formatOf(name string) format {
	const (
		bracketed = `\[[0-9A-Fa-f:.]+(%[^\]\s]+)?\]`
		hostname  = `[A-Za-z0-9._-]+`
	)
	switch name {
	case "name":
		return format{"a name of 1 to 255 printable ASCII characters",
			`^[!-~]([ -~]*[!-~])?$`, checkName, nil}
	case "listen":
		return format{"a listen address such as 0.0.0.0:8080",
			`^(` + bracketed + `|` + hostname + `)?:[0-9]{1,5}$`, checkListen, suggestListen}
	case "address":
		return format{"a host and port such as 127.0.0.1:3000",
			`^(` + bracketed + `|` + hostname + `):[0-9]{1,5}$`, checkAddress, suggestAddress}
	case "authority":
		return format{"a host, with or without a port, such as example.com",
			`^(` + bracketed + `|` + hostname + `)(:[0-9]{1,5})?$`, checkAuthority, nil}
	case "host":
		return format{`a host without port such as example.com or "*.example.com"`,
			`^(` + bracketed + `|(\*\.)?` + hostname + `)$`, checkHostPattern, suggestHost}
	case "path":
		return format{"a path such as /api/", `^/[^?#\s]*$`, checkPath, suggestPath}
	case "regex":
		return format{"a regular expression (RE2) such as /v[0-9]+/.*", `.`, checkRegex, nil}
	case "scheme":
		return format{"a scheme such as https", `^[a-z][a-z0-9+.-]*$`, checkScheme, strings.ToLower}
	case "text":
		return format{"a text", ``, func(string) error { return nil }, nil}
	case "path template":
		return format{"a template of a path such as /cart/{id}/items", `^/`, checkPathTemplate, suggestTemplate}
	case "grpc name":
		return format{`a name of letters, digits, "_" and "." such as shop.Cart`, `^[A-Za-z0-9_.]+$`, checkGRPCName, nil}
	case "target":
		return format{"a path, with or without a query, such as /health?full=1", `^/[^#\s]*$`, checkTarget, suggestPath}
	case "cookie":
		return format{"the name of a cookie", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", checkCookie, nil}
	case "field":
		return format{"the name of a header field", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", checkField, nil}
	case "statuses":
		return format{"a status or a range of them such as 200 or 200-299", `^[1-9][0-9]{2}(-[1-9][0-9]{2})?$`, checkStatuses, suggestStatuses}
	case "method":
		return format{"a method such as GET", "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", checkMethod, strings.ToUpper}
	case "url":
		return format{"a URL such as http://127.0.0.1:9411/api/v2/spans", `^[Hh][Tt][Tt][Pp][Ss]?://[^/]`, checkURL, nil}
	case "collector":
		return format{"a host and port such as 127.0.0.1:4317, or a URL such as https://collector:4318/v1/traces",
			`^(([Hh][Tt][Tt][Pp][Ss]?://[^/@?]+(/[^?#\s]*)?)|((` + bracketed + `|` + hostname + `):[0-9]{1,5}))$`, checkCollector, nil}
	case "trace link":
		return format{"the URL of a trace such as http://127.0.0.1:16686/trace/%TRACE_ID%", `^[Hh][Tt][Tt][Pp][Ss]?://[^/].*%TRACE_ID%`, checkTraceLink, nil}
	case "log format":
		return format{`a format string such as "%REQ(:METHOD)% %RESPONSE_CODE%"`, `.`, checkLogFormat, nil}
	case "hostname":
		return format{"a host name such as api.internal", `^` + hostname + `$`, checkHostname, nil}
	case "domain":
		return format{"a name that DNS knows such as api.internal", `^` + hostname + `$`, checkDomain, suggestDomain}
	case "datacenter":
		return format{`a name of letters, digits, "-" and "_" such as dc1`, `^[A-Za-z0-9_-]+$`, checkDatacenter, nil}
	case "ip":
		return format{"a host name or an IP address", `^(` + bracketed + `|[0-9A-Fa-f:.]+|` + hostname + `)$`, checkIP, nil}
	case "file":
		return format{"the path of a file", `^[^\x00-\x1f]+$`, checkFile, nil}
	case "socket":
		return format{`the path of a Unix socket, or "@" and a name`, `^[^\x00-\x1f]+$`, checkSocket, nil}
	case "san":
		return format{`a DNS name such as api.internal or "*.internal", or a SPIFFE id such as "spiffe://mesh/ns/default/*"`,
			`^(spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*(/\*)?|(\*\.)?` + hostname + `)$`, checkSAN, suggestSAN}
	case "spki":
		return format{"the SHA-256 of a public key, 44 characters of base64", `^[A-Za-z0-9+/]{43}=$`, checkSPKI, suggestSPKI}
	case "realm":
		return format{`a text of printable ASCII without " and \\`, `^[ !#-\[\]-~]+$`, checkRealm, nil}
	case "origin":
		return format{`an origin such as https://shop.example.com, "regex:https://.*\\.example\\.com" or "*"`,
			`^(\*|null|regex:.+|[a-z][a-z0-9+.-]*://[^/?#\s]+)$`, checkOrigin, suggestOrigin}
	case "media type":
		return format{`a media type such as application/json or "text/*"`, `^[^/\s;]+/[^/\s;]+$`, checkMediaType, suggestMediaType}
	case "protocol":
		return format{`a protocol such as websocket, or "none"`, `^[^/\s,]+(/[^/\s,]+)?$`, checkProtocol, nil}
	case "size":
		return format{"a number of bytes such as 65536, 64KiB, 10MiB or 1GiB", `^[0-9]+(KiB|MiB|GiB)?$`, checkSize, suggestSize}
	case "destination":
		return format{"a destination such as example.com, *.example.com:443, 10.0.0.0/8 or *",
			`^[\[\]*A-Za-z0-9._:/-]+$`, checkDestination, nil}
	}
	panic("config: no format " + strconv.Quote(name))
}

// checkName accepts names that are safe in header fields, metric labels and log lines.
func checkName(s string) error {
	if len(s) > 255 {
		return errors.New("it is too long")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("%q is not among them", []rune(s[i:])[0])
		}
	}
	if strings.TrimSpace(s) != s {
		return errors.New("there is a space around it")
	}
	return nil
}

func checkListen(s string) error {
	host, port, err := splitHostPort(s)
	if err != nil {
		return err
	}
	if err := checkPort(port, 0); err != nil || host == "" {
		return err
	}
	return checkHost(host)
}

func suggestListen(s string) string {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return ":" + s
	}
	if port, ok := strings.CutPrefix(s, "*:"); ok {
		return ":" + port
	}
	return suggestAddress(s)
}

func checkAddress(s string) error {
	host, port, err := splitHostPort(s)
	if err != nil {
		return err
	}
	if host == "" {
		return errors.New("the host is missing")
	}
	if err := checkPort(port, 1); err != nil {
		return err
	}
	return checkHost(host)
}

// suggestAddress finds the address in a URL, and brackets IPv6 addresses.
func suggestAddress(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s, _, _ = strings.Cut(rest, "/")
	} else if i := strings.LastIndexByte(s, ':'); i > 0 && strings.Count(s, ":") > 1 && s[0] != '[' {
		s = "[" + s[:i] + "]" + s[i:]
	}
	if checkAddress(s) != nil {
		return ""
	}
	return s
}

func checkAuthority(s string) error {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		return checkAddress(s)
	}
	return checkHost(s)
}

func checkHostPattern(s string) error {
	if s == "*" {
		return errors.New("to match every host, leave the key out")
	}
	if below, ok := strings.CutPrefix(s, "*."); ok {
		if !isHostname(below) {
			return fmt.Errorf("%q is not a host name", below)
		}
		return nil
	}
	return checkHost(s)
}

func suggestHost(s string) string {
	if host, _, err := splitHostPort(s); err == nil && host != "" && checkHostPattern(host) == nil {
		return host
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() {
		return "[" + s + "]"
	}
	return ""
}

func checkPath(s string) error {
	if s[0] != '/' {
		return errors.New(`it must begin with "/"`)
	}
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return fmt.Errorf("a path has no %q: query and fragment are not matched", s[i])
	}
	if strings.ContainsAny(s, " \t\r\n") {
		return errors.New("a path has no space: write %20")
	}
	return nil
}

// checkTarget is checkPath for a path that is sent, not matched.
func checkTarget(s string) error {
	path, query, _ := strings.Cut(s, "?")
	switch {
	case path == "":
		return errors.New(`it must begin with "/"`)
	case strings.ContainsAny(query, " \t\r\n"):
		return errors.New("a query has no space: write %20")
	case strings.Contains(query, "#"):
		return errors.New("a fragment is not sent: leave it out")
	}
	if _, err := url.ParseRequestURI(s); err != nil && checkPath(path) == nil {
		return errors.New("it can't be sent: write characters that a URL can't have as % and two hexadecimal digits")
	}
	return checkPath(path)
}

func suggestPath(s string) string {
	if checkPath("/"+s) == nil && !strings.Contains(s, ":") {
		return "/" + s
	}
	return ""
}

func suggestTemplate(s string) string { return "/" + s }

func checkMethod(s string) error {
	if !isToken(s) {
		return errors.New("RFC 9110 section 9.1 makes a method a token")
	}
	switch upper := strings.ToUpper(s); upper {
	case s:
		return nil
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return errors.New("methods are case-sensitive")
	}
	return nil
}

// checkIP accepts a host name or an IP address, with or without brackets.
func checkIP(s string) error {
	if isAddress(s) {
		return nil
	}
	return checkHost(s)
}

func checkField(s string) error {
	if !isToken(s) {
		return errors.New("RFC 9110 section 5.1 makes a field's name a token")
	}
	return nil
}

func checkCookie(s string) error {
	if !isToken(s) {
		return errors.New("RFC 6265 section 4.1.1 makes a cookie's name a token")
	}
	return nil
}

// checkSocket checks for Linux's limit: a path of 108 bytes including a NUL.
func checkSocket(s string) error {
	if len(s) > 107 {
		return fmt.Errorf("it has %d bytes, and a Unix socket's path has at most 107", len(s))
	}
	return nil
}

func checkStatuses(s string) error {
	_, _, err := Statuses(s)
	return err
}

// suggestStatuses knows 2xx.
func suggestStatuses(s string) string {
	if class, ok := strings.CutSuffix(strings.ToLower(s), "xx"); ok {
		return class + "00-" + class + "99"
	}
	return ""
}

// Statuses reads a status, or a range of them, of [HTTPCheck].
func Statuses(s string) (first, last int, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	for _, part := range []struct {
		text string
		n    *int
	}{{from, &first}, {to, &last}} {
		n, err := strconv.Atoi(part.text)
		if err != nil || n < 100 || n > 999 || len(part.text) != 3 {
			return 0, 0, fmt.Errorf("%q is not a status", part.text)
		}
		*part.n = n
	}
	if first > last {
		return 0, 0, errors.New("the range ends before it begins")
	}
	return first, last, nil
}

func checkSize(s string) error {
	_, err := Size(s)
	return err
}

// suggestSize knows other spellings of the units.
func suggestSize(s string) string {
	number := strings.TrimRight(s, " bBiIkKmMgG")
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if strings.EqualFold(strings.TrimLeft(s[len(number):], " "), unit[:1]) || strings.EqualFold(strings.TrimLeft(s[len(number):], " "), unit[:1]+"B") || strings.EqualFold(strings.TrimLeft(s[len(number):], " "), unit) {
			return number + unit
		}
	}
	return ""
}

// Size reads a number of bytes.
func Size(s string) (int64, error) {
	number, factor := s, int64(1)
	for unit, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if cut, ok := strings.CutSuffix(s, unit); ok {
			number, factor = cut, bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case !isDecimal(number) || err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is not a number", number)
	case n < 0:
		return 0, errors.New("it is below zero")
	case err != nil || n > maxSize/factor:
		return 0, errors.New("it is above 1024GiB")
	}
	return n * factor, nil
}

// maxSize is the largest number of bytes that a key may ask for.
const maxSize = 1 << 40

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("it can not be parsed") // the parser's words may hold a password
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it must begin with http:// or https://")
	case u.Host == "":
		return errors.New("the host is missing")
	case u.Fragment != "":
		return errors.New("a fragment is never sent")
	}
	return checkAuthority(u.Host)
}

// checkTraceLink checks a URL with a place for the id of a trace.
func checkTraceLink(s string) error {
	if !strings.Contains(s, "%TRACE_ID%") {
		return errors.New("it has no %TRACE_ID%, where the id of the trace goes")
	}
	s = strings.ReplaceAll(s, "%TRACE_ID%", strings.Repeat("0", 32))
	s, _, _ = strings.Cut(s, "#") // pages of traces may need a fragment
	if u, err := url.Parse(s); err == nil && u.User != nil {
		return errors.New("clients would see its user and password")
	}
	return checkURL(s)
}

func checkDestination(s string) error {
	_, err := ParseDestination(s)
	return err
}

// checkFile does not check whether the file exists: [Config.CheckFiles] does.
func checkFile(s string) error {
	if isPEM(s) {
		return errors.New("it is the content of a file, not its path")
	}
	return nil
}

func isPEM(s string) bool { return strings.Contains(s, "-----BEGIN ") }

// splitHostPort splits host:port; an IPv6 host keeps its brackets.
func splitHostPort(s string) (host, port string, err error) {
	i := strings.LastIndexByte(s, ':')
	switch {
	case strings.Contains(s, "://"):
		return "", "", errors.New("it is a URL, not an address")
	case strings.Contains(s, "@"): // it is not quoted: what stands before it may be a password
		return "", "", errors.New("a user or a password has no place in it")
	case i < 0 || strings.HasSuffix(s, "]"):
		return "", "", errors.New("the port is missing")
	case strings.HasPrefix(s, "[") && s[i-1] != ']':
		return "", "", errors.New("the bracket is not closed before the port")
	case strings.HasPrefix(s, "["):
		return s[:i], s[i+1:], nil
	case strings.Contains(s[:i], ":"):
		return "", "", errors.New("an IPv6 address goes in brackets")
	}
	return s[:i], s[i+1:], nil
}

func checkPort(s string, least uint64) error {
	n, err := strconv.ParseUint(s, 10, 16)
	switch {
	case strings.Trim(s, "0123456789") != "" || s == "":
		return fmt.Errorf("the port %q is not a number", s)
	case err != nil:
		return fmt.Errorf("the port %s is above 65535", s)
	case n < least:
		return errors.New("port 0 can not be connected to")
	case len(s) > 1 && s[0] == '0':
		return fmt.Errorf("the port %s has a leading zero", s)
	}
	return nil
}

// checkHost takes a host name, an IPv4 address or an IPv6 address in brackets.
func checkHost(s string) error {
	if strings.Contains(s, "@") { // it is not quoted: what stands before it may be a password
		return errors.New("a user or a password has no place in it")
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if addr, err := netip.ParseAddr(inner); !ok || err != nil || !addr.Is6() {
			return fmt.Errorf("%s is not an IPv6 address", s)
		}
		return nil
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Is6() {
			return errors.New("an IPv6 address goes in brackets")
		}
		return nil
	}
	if !isHostname(s) {
		return fmt.Errorf("%q is neither a host name nor an IP address", s)
	}
	return nil
}

// isHostname accepts names of letters, digits, "-" and "_" in labels of at most 63
// characters. A name whose last label is a number is a misspelt IPv4 address: no top level
// domain is a number.
func isHostname(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || !isPlainName(label) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// isToken tells a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
