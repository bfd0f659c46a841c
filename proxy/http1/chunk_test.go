package http1

// appendChunk appends data as one chunk, or nothing where data is empty: an
// empty chunk would be the last.
func appendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}
