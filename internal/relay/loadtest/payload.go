package loadtest

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Layout of a payload: the marker, then in lower-case hex the publisher (2
// digits), the sequence number (8) and the send time (16), then padding. It is
// plain ASCII without line ends so that any event framing carries it unchanged.
const (
	marker      = "~load~"
	recordSize  = len(marker) + 2 + 8 + 16
	padByte     = 'x'
	hexDigits   = "0123456789abcdef"
	minPayload  = recordSize
	maxPayload  = 32512
	maxPublish  = 256 // publishers a record can number
	padBlockLen = 4096
)

var errDamaged = errors.New("payload arrived damaged")

// record is what one message says about itself.
type record struct {
	pub int    // which publisher sent it
	seq uint32 // counts that publisher's messages from 0
	at  int64  // when it was due, in nanoseconds of the load generator's clock
}

// appendPayload appends the payload of r, padded to size bytes. A size below
// minPayload counts as minPayload.
func appendPayload(dst []byte, size int, r record) []byte {
	dst = append(dst, marker...)
	dst = appendHex(dst, uint64(r.pub), 2)
	dst = appendHex(dst, uint64(r.seq), 8)
	dst = appendHex(dst, uint64(r.at), 16)
	for n := size - recordSize; n > 0; n-- {
		dst = append(dst, padByte)
	}
	return dst
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[v>>shift&0xf])
	}
	return dst
}

// parseRecord reads a record from its fixed place. Bytes that are not hex
// digits give a wrong number, which the ledger then refuses as out of order.
func parseRecord(p []byte) record {
	p = p[len(marker):recordSize]
	return record{
		pub: int(nibble(p[0])<<4 | nibble(p[1])),
		seq: parseHex8(p[2:10]),
		at:  int64(uint64(parseHex8(p[10:18]))<<32 | uint64(parseHex8(p[18:26]))),
	}
}

func nibble(c byte) byte { return c&0xf + 9*(c>>6&1) }

// parseHex8 reads eight hex digits at once: a loop over digits costs more than
// the rest of the load generator's work on a message.
func parseHex8(p []byte) uint32 {
	v := binary.BigEndian.Uint64(p)
	v = v&0x0f0f0f0f0f0f0f0f + 9*(v>>6&0x0101010101010101)
	v = (v | v>>4) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16)
}

// scanner finds records in a body that arrives in arbitrary pieces.
type scanner struct {
	carry [recordSize]byte // the beginning of a record that a piece cut off
	held  int              // bytes in carry
	pad   int              // padding of the last record still to come
}

// next returns the first record in p and what follows it. ok is false when p
// holds no further complete record; p is then consumed. size is the payload's.
func (s *scanner) next(p []byte, size int, padding []byte) (r record, rest []byte, ok bool, err error) {
	if p, err = s.skipPadding(p, padding); err != nil || len(p) == 0 {
		return record{}, nil, false, err
	}
	if s.held > 0 {
		if p, ok = s.complete(p); ok {
			s.pad = size - recordSize
			return parseRecord(s.carry[:]), p, true, nil
		}
	}
	i := bytes.Index(p, []byte(marker))
	if i < 0 {
		i = len(p) - partial(p)
	}
	if p = p[i:]; len(p) < recordSize {
		s.held += copy(s.carry[s.held:], p)
		return record{}, nil, false, nil
	}
	s.pad = size - recordSize
	return parseRecord(p), p[recordSize:], true, nil
}

func (s *scanner) skipPadding(p, padding []byte) ([]byte, error) {
	for s.pad > 0 && len(p) > 0 {
		n := min(s.pad, len(p), len(padding))
		if !bytes.Equal(p[:n], padding[:n]) {
			return nil, errDamaged
		}
		p, s.pad = p[n:], s.pad-n
	}
	return p, nil
}

// complete continues the record in carry with p. If p shows that what was held
// is no record, the held bytes are dropped: a proper prefix of the marker has
// no second beginning inside. If p ends first, it returns nothing left.
func (s *scanner) complete(p []byte) (rest []byte, ok bool) {
	n := copy(s.carry[s.held:], p)
	have := s.carry[:s.held+n]
	if m := min(len(have), len(marker)); string(have[:m]) != marker[:m] {
		s.held = 0
		return p, false
	}
	if len(have) < recordSize {
		s.held = len(have)
		return nil, false
	}
	s.held = 0
	return p[n:], true
}

// partial is the length of the longest tail of p that begins a marker.
func partial(p []byte) int {
	for n := min(len(marker)-1, len(p)); n > 0; n-- {
		if string(p[len(p)-n:]) == marker[:n] {
			return n
		}
	}
	return 0
}

// paddingBlock is a stretch of padding to compare with.
func paddingBlock() []byte { return bytes.Repeat([]byte{padByte}, padBlockLen) }
