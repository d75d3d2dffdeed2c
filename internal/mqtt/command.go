package mqtt

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

const (
	version5 = 5
	// flagsRequired are the flags that SUBSCRIBE, UNSUBSCRIBE and PUBREL must
	// have, for no reason the standard gives (MQTT 5, 2.1.3).
	flagsRequired = 2
	// Flags of a PUBLISH (MQTT 5, 3.3.1).
	flagRetain    = 1
	flagDuplicate = 8
)

// Login is what a CONNECT says. It always asks for version 5 and a clean start.
type Login struct {
	// ClientID should be unique and not empty: no-local compares it.
	ClientID string
	// Password is the token; nil sends none.
	Password Secret
	// KeepAlive is how many seconds of silence the server may take for death;
	// zero is for ever.
	KeepAlive uint16
}

// AppendConnect appends a CONNECT without a will, a user name or properties. It
// fails with [ErrTooLong], and appends nothing, if client id or password have
// more than [MaxText] bytes.
func AppendConnect(dst []byte, l Login) ([]byte, error) {
	if err := fits("client id", len(l.ClientID)); err != nil {
		return dst, fmt.Errorf("write CONNECT: %w", err)
	}
	if err := fits("password", len(l.Password)); err != nil {
		return dst, fmt.Errorf("write CONNECT: %w", err)
	}
	flags, n := byte(flagCleanStart), 11+2+len(l.ClientID)
	if l.Password != nil {
		flags, n = flags|flagPassword, n+2+len(l.Password)
	}
	dst = appendHeader(dst, TypeConnect.head(0), n)
	dst = append(appendText(dst, "MQTT"), version5, flags)
	dst = binary.BigEndian.AppendUint16(dst, l.KeepAlive)
	dst = appendText(append(dst, 0), l.ClientID)
	if l.Password != nil {
		dst = appendText(dst, l.Password)
	}
	return dst, nil
}

// fits checks a field that is written with a length of two bytes.
func fits(what string, n int) error {
	if n > MaxText {
		return fmt.Errorf("%s of %d bytes: %w", what, n, ErrTooLong)
	}
	return nil
}

// fitsPacket checks the Remaining Length.
func fitsPacket(n int) error {
	if n > maxRemaining {
		return fmt.Errorf("%d bytes: %w", n, ErrTooLong)
	}
	return nil
}

// AppendSubscribe appends a SUBSCRIBE with one filter: more than one would be
// lost on the app (Quirk Q3). The id must not be zero. It fails with
// [ErrTooLong], and appends nothing, if the filter has more than [MaxText] bytes.
func AppendSubscribe(dst []byte, id uint16, filter pubsub.Topic, o Options) ([]byte, error) {
	if err := fits("filter", len(filter)); err != nil {
		return dst, fmt.Errorf("write SUBSCRIBE: %w", err)
	}
	dst = appendHeader(dst, TypeSubscribe.head(flagsRequired), 3+2+len(filter)+1)
	dst = append(dst, byte(id>>8), byte(id), 0)
	return append(appendText(dst, filter), o.octet()), nil
}

// AppendUnsubscribe appends an UNSUBSCRIBE with one filter. The id must not be
// zero. It fails with [ErrTooLong], and appends nothing, if the filter has more
// than [MaxText] bytes.
func AppendUnsubscribe(dst []byte, id uint16, filter pubsub.Topic) ([]byte, error) {
	if err := fits("filter", len(filter)); err != nil {
		return dst, fmt.Errorf("write UNSUBSCRIBE: %w", err)
	}
	dst = appendHeader(dst, TypeUnsubscribe.head(flagsRequired), 3+2+len(filter))
	return appendText(append(dst, byte(id>>8), byte(id), 0), filter), nil
}

// AppendPingreq appends a PINGREQ.
func AppendPingreq(dst []byte) []byte { return append(dst, TypePingreq.head(0), 0) }

// AppendGoodbye appends the DISCONNECT of a client that leaves: reason and
// property length are both written out, because the app reads shorter forms
// wrongly (Quirk Q26).
func AppendGoodbye(dst []byte) []byte { return append(dst, TypeDisconnect.head(0), 2, 0, 0) }

// Message is what a PUBLISH carries, from client or server.
type Message struct {
	// Topic must be UTF-8 of at most MaxText bytes.
	Topic pubsub.Topic
	// Payload is any bytes.
	Payload []byte
	// Retain asks the server to store the message; from the server it says that
	// the message was stored.
	Retain bool
	// Expiry is the time to live in seconds, from the server what is left of it;
	// without Expires none is written.
	Expiry  uint32
	Expires bool
	// PacketID, if not zero, makes it QoS 1. The app answers that with the end
	// of the connection.
	PacketID uint16
}

// AppendPublish appends a PUBLISH, with one allocation at most. It fails with
// [ErrTooLong], and appends nothing, if the topic has more than [MaxText] bytes
// or the whole would exceed 256 MiB.
func AppendPublish(dst []byte, m Message) ([]byte, error) {
	if err := fits("topic", len(m.Topic)); err != nil {
		return dst, fmt.Errorf("write PUBLISH: %w", err)
	}
	head, n := m.outline()
	if err := fitsPacket(n); err != nil {
		return dst, fmt.Errorf("write PUBLISH: %w", err)
	}
	dst = appendHeader(slices.Grow(dst, maxHead+n), head, n)
	dst = appendText(dst, m.Topic)
	if m.PacketID != 0 {
		dst = binary.BigEndian.AppendUint16(dst, m.PacketID)
	}
	if m.Expires {
		dst = append(dst, 5, byte(MessageExpiry))
		dst = binary.BigEndian.AppendUint32(dst, m.Expiry)
	} else {
		dst = append(dst, 0)
	}
	return append(dst, m.Payload...), nil
}

// outline is the first byte of the message's packet, and how many bytes follow
// the fixed header.
func (m Message) outline() (head byte, n int) {
	head, n = TypePublish.head(0), 2+len(m.Topic)+1+len(m.Payload)
	if m.Retain {
		head |= flagRetain
	}
	if m.PacketID != 0 {
		head, n = head|1<<1, n+2
	}
	if m.Expires {
		n += 5
	}
	return head, n
}
