package balance

import "math/bits"

// The primes of XXH64, from its specification
// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// Hash is the XXH64 of b, with seed 0.
func Hash(b []byte) uint64 { return xxh64(b, 0) }

// HashString is the XXH64 of s, with seed 0.
func HashString(s string) uint64 { return xxh64(s, 0) }

// Combine adds the hash of one more part of a request (a header, the path) to the hash of
// the parts before it, as Envoy does. Start with 0; the hash of a single part is its own.
func Combine(hash, part uint64) uint64 { return bits.RotateLeft64(hash, 1) ^ part }

func xxh64[T string | []byte](b T, seed uint64) uint64 {
	var h uint64
	n := len(b)
	if len(b) >= 32 {
		v1, v2, v3, v4 := seed+prime1+prime2, seed+prime2, seed, seed-prime1
		for len(b) >= 32 {
			v1 = round(v1, load64(b[0:8]))
			v2 = round(v2, load64(b[8:16]))
			v3 = round(v3, load64(b[16:24]))
			v4 = round(v4, load64(b[24:32]))
			b = b[32:]
		}
		h = bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
		for _, v := range [...]uint64{v1, v2, v3, v4} {
			h = (h^round(0, v))*prime1 + prime4
		}
	} else {
		h = seed + prime5
	}
	h += uint64(n)
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^round(0, load64(b[0:8])), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(load32(b[0:4]))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for i := range len(b) {
		h = bits.RotateLeft64(h^uint64(b[i])*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func round(acc, lane uint64) uint64 {
	return bits.RotateLeft64(acc+lane*prime2, 31) * prime1
}

func load64[T string | []byte](b T) uint64 {
	return uint64(load32(b[0:4])) | uint64(load32(b[4:8]))<<32
}

func load32[T string | []byte](b T) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
