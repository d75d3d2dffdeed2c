package mqtt

import (
	"encoding/binary"
	"unicode/utf8"
)

// readLength reads a variable byte integer (MQTT 5, 1.5.5) of n bytes. n is 0
// if the integer does not end within b. More than four bytes are an error once
// the fifth is there.
func readLength(b []byte) (v, n int, bad Malformed) {
	for n < len(b) {
		if n == maxHead-1 {
			return 0, 0, errLength
		}
		v |= int(b[n]&0x7f) << (7 * n)
		n++
		if b[n-1] < 0x80 {
			return v, n, ""
		}
	}
	return 0, 0, ""
}

// appendLength appends v as a variable byte integer (MQTT 5, 1.5.5).
func appendLength(dst []byte, v int) []byte {
	for ; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

// lengthSize is how many bytes appendLength takes for v.
func lengthSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// appendText appends a string or binary field (MQTT 5, 1.5.4 and 1.5.6) of at
// most MaxText bytes.
func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// fields reads the fields of a packet one after the other. After the first
// that is wrong nothing is left and every further field is empty, so that a
// packet is read without a check behind each field; err tells at the end.
type fields struct {
	rest []byte
	// minimal refuses lengths with needless bytes.
	minimal bool
	bad     Malformed
}

func (f *fields) fail(why Malformed) {
	if f.bad == "" {
		f.bad = why
	}
	f.rest = nil
}

// err is what went wrong in a packet of type t, nil if nothing did.
func (f *fields) err(t Type) error {
	if f.bad == "" {
		return nil
	}
	return f.bad.in(t)
}

func (f *fields) take(n int) []byte {
	if n > len(f.rest) {
		f.fail(errShort)
		return nil
	}
	// The capacity ends with the field: a caller's append must not run into the
	// bytes behind it.
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) octet() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) two() uint16 {
	if b := f.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (f *fields) four() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// length reads a variable byte integer. Almost all have one byte.
func (f *fields) length() int {
	if len(f.rest) > 0 && f.rest[0] < 0x80 {
		v := int(f.rest[0])
		f.rest = f.rest[1:]
		return v
	}
	return f.longLength()
}

func (f *fields) longLength() int {
	v, n, bad := readLength(f.rest)
	switch {
	case bad != "":
		f.fail(bad)
	case n == 0:
		f.fail(errShort)
	case f.minimal && n != lengthSize(v):
		f.fail(errPadded)
	default:
		f.rest = f.rest[n:]
		return v
	}
	return 0
}

func (f *fields) binary() []byte {
	if len(f.rest) < 2 {
		f.fail(errShort)
		return nil
	}
	end := 2 + int(binary.BigEndian.Uint16(f.rest))
	if end > len(f.rest) {
		f.fail(errShort)
		return nil
	}
	b := f.rest[2:end:end]
	f.rest = f.rest[end:]
	return b
}

func (f *fields) text() []byte {
	b := f.binary()
	if !utf8.Valid(b) {
		f.fail(errNotUTF8)
		return nil
	}
	return b
}
