package loadtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errPacket = errors.New("malformed packet")
	errTopic  = errors.New("message of another topic")
)

// packets takes the next bytes of a broker's connection behind its handshake. A
// frame may hold several packets, but no packet more than one frame.
func (in *inbound) packets(p []byte, e *expect, l *ledger, now int64) error {
	for {
		content, rest, ok, err := in.frames.next(p)
		if err != nil || !ok {
			return err
		}
		for len(content) > 0 {
			first, body, after, err := cutPacket(content)
			if err != nil {
				return err
			}
			if err := in.packet(first, body, e, l, now); err != nil {
				return err
			}
			content = after
		}
		p = rest
	}
}

// packet takes a message, or what is due before the first message.
func (in *inbound) packet(first byte, body []byte, e *expect, l *ledger, now int64) error {
	due := [...]byte{1: packetConnack, 2: packetSuback}
	switch {
	case first == packetPublish:
		r, err := e.message(body)
		if err != nil {
			return err
		}
		return l.deliver(in.sub, r, now)
	case in.open || first != due[in.answered] || len(body) < 3:
		return fmt.Errorf("packet %#x with %x: not expected here", first, clip(body))
	case reasonOf(first, body) != 0:
		return fmt.Errorf("packet %#x refuses with reason %#x", first, reasonOf(first, body))
	}
	in.answer()
	return nil
}

// reasonOf reads the reason code of a CONNACK, behind its flags, or the only
// one of a SUBACK, at its end.
func reasonOf(first byte, body []byte) byte {
	if first == packetConnack {
		return body[1]
	}
	return body[len(body)-1]
}

// cutPacket returns the first packet in p and what follows it.
func cutPacket(p []byte) (first byte, body, rest []byte, err error) {
	size, n := length(p[1:])
	if n == 0 || size > len(p)-1-n {
		return 0, nil, nil, errPacket
	}
	p, first = p[1+n:], p[0]
	return first, p[:size], p[size:], nil
}

// length reads a variable byte integer and returns how many bytes it takes, 0 if
// it is cut off or too long.
func length(p []byte) (v, n int) {
	for i, b := range p[:min(len(p), 4)] {
		v |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// message checks the body of a PUBLISH: topic, properties, which are skipped,
// and the payload to its last byte.
func (e *expect) message(body []byte) (r record, err error) {
	if len(body) < 2 {
		return r, errPacket
	}
	topic, body := int(binary.BigEndian.Uint16(body)), body[2:]
	if topic > len(body) {
		return r, errPacket
	}
	if string(body[:topic]) != e.topic {
		return r, errTopic
	}
	body = body[topic:]
	properties, n := length(body)
	if n == 0 || properties > len(body)-n {
		return r, errPacket
	}
	return e.payload(body[n+properties:])
}

// payload checks that p is one payload and nothing else.
func (e *expect) payload(p []byte) (r record, err error) {
	if len(p) != e.size || !bytes.HasPrefix(p, []byte(marker)) {
		return r, errDamaged
	}
	for pad := p[recordSize:]; len(pad) > 0; {
		n := min(len(pad), len(e.padding))
		if !bytes.Equal(pad[:n], e.padding[:n]) {
			return r, errDamaged
		}
		pad = pad[n:]
	}
	return parseRecord(p), nil
}
