package mqtt

import (
	"errors"
	"fmt"
)

// Limits of the format and of the app.
const (
	// MaxText is the longest string or binary field of a packet, in bytes:
	// topics, filters, client ids and passwords.
	MaxText = 1<<16 - 1
	// MaxPacket is the packet size in bytes that the app announces and does not
	// enforce (Quirk Q47).
	MaxPacket = 32768

	// maxRemaining is the greatest Remaining Length that four bytes can say.
	maxRemaining = 1<<28 - 1
	// maxHead is the longest fixed header: one byte and the Remaining Length.
	maxHead = 5
)

// Type is the type of a control packet, the upper half of its first byte.
type Type byte

// The types of MQTT 5, 2.1.2. Zero is none of them.
const (
	TypeConnect     Type = 1
	TypeConnack     Type = 2
	TypePublish     Type = 3
	TypePuback      Type = 4
	TypePubrec      Type = 5
	TypePubrel      Type = 6
	TypePubcomp     Type = 7
	TypeSubscribe   Type = 8
	TypeSuback      Type = 9
	TypeUnsubscribe Type = 10
	TypeUnsuback    Type = 11
	TypePingreq     Type = 12
	TypePingresp    Type = 13
	TypeDisconnect  Type = 14
	TypeAuth        Type = 15
)

// String gives the name in capitals, as in "SUBSCRIBE".
func (t Type) String() string {
	names := [...]string{
		"type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
		"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", byte(t))
}

// head is the first byte of a packet of this type, with its flags.
func (t Type) head(flags byte) byte { return byte(t)<<4 | flags }

// Malformed is why a packet cannot be read. The connection it came on has no
// future: where the next packet begins is anybody's guess. It names fields and
// numbers, never content.
type Malformed string

// Error gives the reason.
func (m Malformed) Error() string { return "malformed packet: " + string(m) }

// in says in which packet.
func (m Malformed) in(t Type) error { return fmt.Errorf("read %s: %w", t, m) }

const (
	errLength  Malformed = "a length of more than four bytes"
	errPadded  Malformed = "a length with needless bytes"
	errShort   Malformed = "a field reaches beyond the end"
	errNotUTF8 Malformed = "a string is not UTF-8"
	errOther   Malformed = "not of the type asked for"
)

// ErrTooLong says that something does not fit into a packet: a string or a
// password beyond [MaxText], or a packet beyond 256 MiB.
var ErrTooLong = errors.New("too long for a packet")

// TooLargeError says that a packet is larger than the reader wants to hold.
type TooLargeError struct {
	// Size is the packet's whole size and Limit what was allowed, in bytes.
	Size, Limit int
}

// Error names both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("packet of %d bytes is larger than %d", e.Size, e.Limit)
}

// PacketSize tells how large the packet at the beginning of b is as a whole, in
// bytes, whether or not all of it is there. It is 0 while b does not say yet,
// and a [Malformed] error if b says it in more than four bytes. Use it to refuse
// a packet before holding its parts.
func PacketSize(b []byte) (int, error) {
	head, own, err := header(b)
	return head + own, err
}

// header reads the fixed header (MQTT 5, 2.1): how long it is, and how many
// bytes belong to the packet behind it. Both are 0 while it is incomplete.
func header(b []byte) (head, own int, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	own, n, bad := readLength(b[1:])
	if bad != "" {
		return 0, 0, bad
	}
	if n == 0 {
		return 0, 0, nil
	}
	return 1 + n, own, nil
}

// appendHeader appends the fixed header of a packet of n bytes behind it.
func appendHeader(dst []byte, head byte, n int) []byte {
	return appendLength(append(dst, head), n)
}
