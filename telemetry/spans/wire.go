package spans

import (
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tags of the OTLP messages that convert.go writes: field number and wire
// type in one byte, by opentelemetry/proto/trace/v1 and common/v1. The one tag
// of two bytes, Span.flags, is written by its function.
const (
	tagScopeSpansSpan = 2<<3 | byte(protowire.BytesType)

	tagSpanTraceID    = 1<<3 | byte(protowire.BytesType)
	tagSpanID         = 2<<3 | byte(protowire.BytesType)
	tagSpanTraceState = 3<<3 | byte(protowire.BytesType)
	tagSpanParent     = 4<<3 | byte(protowire.BytesType)
	tagSpanName       = 5<<3 | byte(protowire.BytesType)
	tagSpanKind       = 6<<3 | byte(protowire.VarintType)
	tagSpanStart      = 7<<3 | byte(protowire.Fixed64Type)
	tagSpanEnd        = 8<<3 | byte(protowire.Fixed64Type)
	tagSpanAttribute  = 9<<3 | byte(protowire.BytesType)
	tagSpanEvent      = 11<<3 | byte(protowire.BytesType)
	tagSpanStatus     = 15<<3 | byte(protowire.BytesType)
	fieldSpanFlags    = protowire.Number(16)

	tagEventTime = 1<<3 | byte(protowire.Fixed64Type)
	tagEventName = 2<<3 | byte(protowire.BytesType)

	tagStatusMessage = 2<<3 | byte(protowire.BytesType)
	tagStatusCode    = 3<<3 | byte(protowire.VarintType)

	tagKeyValueKey    = 1<<3 | byte(protowire.BytesType)
	tagKeyValueValue  = 2<<3 | byte(protowire.BytesType)
	tagAnyValueString = 1<<3 | byte(protowire.BytesType)
	tagAnyValueBool   = 2<<3 | byte(protowire.VarintType)
	tagAnyValueInt    = 3<<3 | byte(protowire.VarintType)
)

// replacement replaces bytes that are not UTF-8.
const replacement = "\uFFFD"

// appendText appends a string field. It replaces invalid UTF-8: a receiver may refuse a
// whole batch for one wrong byte.
func appendText[T string | []byte](dst []byte, tag byte, value T) []byte {
	if !validUTF8(value) {
		return appendText(dst, tag, strings.ToValidUTF8(string(value), replacement))
	}
	dst = protowire.AppendVarint(append(dst, tag), uint64(len(value)))
	return append(dst, value...)
}

func appendBytes(dst []byte, tag byte, value []byte) []byte {
	dst = protowire.AppendVarint(append(dst, tag), uint64(len(value)))
	return append(dst, value...)
}

func appendFixed64(dst []byte, tag byte, value uint64) []byte {
	return protowire.AppendFixed64(append(dst, tag), value)
}

// appendString appends an attribute of type string, or nothing if the value is empty.
// Names are shorter than 128 bytes.
func appendString[T string | []byte](dst []byte, name string, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	if !validUTF8(value) {
		return appendString(dst, name, strings.ToValidUTF8(string(value), replacement))
	}
	size := protowire.SizeBytes(len(value))
	dst = appendAttribute(dst, name, 1+size)
	dst = protowire.AppendVarint(append(dst, tagAnyValueString), uint64(len(value)))
	return append(dst, value...)
}

// appendInt appends an attribute of type int.
func appendInt(dst []byte, name string, value int64) []byte {
	dst = appendAttribute(dst, name, 1+protowire.SizeVarint(uint64(value)))
	return protowire.AppendVarint(append(dst, tagAnyValueInt), uint64(value))
}

// appendTrue appends an attribute of type bool if it is true, else nothing.
func appendTrue(dst []byte, name string, value bool) []byte {
	if !value {
		return dst
	}
	return append(appendAttribute(dst, name, 2), tagAnyValueBool, 1)
}

// appendAttribute appends all of a Span's attribute but the AnyValue message,
// which is valueLen bytes.
func appendAttribute(dst []byte, name string, valueLen int) []byte {
	size := 2 + len(name) + 2 + valueLen
	if size < 1<<7 { // nearly always: each length is one byte
		dst = append(dst, tagSpanAttribute, byte(size), tagKeyValueKey, byte(len(name)))
		dst = append(dst, name...)
		return append(dst, tagKeyValueValue, byte(valueLen))
	}
	dst = append(dst, tagSpanAttribute)
	dst = protowire.AppendVarint(dst, uint64(2+len(name)+1+protowire.SizeBytes(valueLen)))
	dst = append(dst, tagKeyValueKey, byte(len(name)))
	dst = append(dst, name...)
	return protowire.AppendVarint(append(dst, tagKeyValueValue), uint64(valueLen))
}

// begin opens a message field of unknown length, and reserves two bytes for the length:
// enough for 16 KiB. end closes it; pass it the start of the content that begin returned.
func begin(dst []byte, tag byte) ([]byte, int) {
	dst = append(dst, tag, 0, 0)
	return dst, len(dst)
}

func end(dst []byte, start int) []byte {
	n := uint64(len(dst) - start)
	if n>>14 != 0 || n>>7 == 0 { // it takes another number of bytes: move the content
		var length [10]byte
		l := protowire.AppendVarint(length[:0], n)
		return slices.Replace(dst, start-2, start, l...)
	}
	dst[start-2], dst[start-1] = byte(n)|0x80, byte(n>>7)
	return dst
}

func validUTF8[T string | []byte](value T) bool {
	switch v := any(value).(type) {
	case string:
		return utf8.ValidString(v)
	case []byte:
		return utf8.Valid(v)
	}
	return false
}
