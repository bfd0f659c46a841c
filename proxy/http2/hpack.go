package http2

import "github.com/hopscope/hopscope/proxy/message"

// Header lists are encoded without a dynamic table: what one client's requests
// say never lies in a table that another's can probe, and an encoder without
// state needs no lock. What is left of HPACK is the static table and literals.

// Indices of the static table (RFC 7541 appendix A).
const (
	indexAuthority     = 1
	indexGET           = 2
	indexPOST          = 3
	indexSlash         = 4
	indexHTTP          = 6
	indexHTTPS         = 7
	indexStatus200     = 8
	indexContentLength = 28
)

// tableSizeZero is the update that tells the peer to keep no table (RFC 7541
// section 6.3).
const tableSizeZero = 0x20

// names are the names of the static table from 15 on, in its order: those that
// are pseudo-fields come before.
var names = [...]string{
	"accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept",
	"access-control-allow-origin", "age", "allow", "authorization", "cache-control", "content-disposition",
	"content-encoding", "content-language", "content-length", "content-location", "content-range",
	"content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
	"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link",
	"location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
	"retry-after", "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent",
	"vary", "via", "www-authenticate",
}

// indices are the names' places in the static table.
var indices = func() map[string]uint8 {
	m := make(map[string]uint8, len(names))
	for i, name := range names {
		m[name] = uint8(15 + i)
	}
	return m
}()

// known is the same for names that have a number.
var known = func() (table [256]uint8) {
	for name, index := range indices {
		if id := message.FieldByName([]byte(name)); id != message.Unknown {
			table[id] = index
		}
	}
	return table
}()

// The representations of a field whose name or value is a literal (RFC 7541
// section 6.2): that is not added to a table here, or nowhere on its way.
const (
	literal      = 0x00
	neverIndexed = 0x10
)

// appendIndexed appends a field of the static table.
func appendIndexed(dst []byte, index uint8) []byte { return append(dst, 0x80|index) }

// appendLiteral appends a field whose name has an index.
func appendLiteral(dst []byte, index uint8, value []byte, kind byte) []byte {
	dst = appendInt(dst, kind, 4, uint64(index))
	return appendString(dst, value)
}

// appendNew appends a field whose name has none; it is in lower case.
func appendNew(dst, name, value []byte, kind byte) []byte {
	dst = append(dst, kind)
	dst = appendString(dst, name)
	return appendString(dst, value)
}

// appendString appends a string as it is. By Huffman's code it would be a fifth
// shorter, and take a tenth of the CPU time that a request costs, at both ends.
func appendString(dst, b []byte) []byte {
	return append(appendInt(dst, 0, 7, uint64(len(b))), b...)
}

// appendInt appends an integer with a prefix of so many bits (RFC 7541 section
// 5.1), the bits above it as they are in first.
func appendInt(dst []byte, first byte, bits uint, n uint64) []byte {
	most := uint64(1)<<bits - 1
	if n < most {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, 0x80|byte(n))
	}
	return append(dst, byte(n))
}
