package loadtest

import (
	"encoding/binary"
	"strconv"
)

// MQTT is how to reach a broker: MQTT 5 over WebSocket, one packet per frame,
// QoS 0. Each connection has a client id of its own.
type MQTT struct {
	// Path is the target of the handshake, such as "/mqtt".
	Path string
	// Topic is subscribed to with one filter and published to.
	Topic string
	// Read and Write are the passwords of subscribers and of publishers: number i
	// uses element i modulo their count. None means to send no password.
	Read, Write []string
}

// The first bytes of the packets used (MQTT 5, section 2.1).
const (
	packetConnect   = 0x10
	packetConnack   = 0x20
	packetPublish   = 0x30 // QoS 0, not retained
	packetSubscribe = 0x82
	packetSuback    = 0x90
)

// subscribing is what stream i says, each part once the part before is answered.
func (m *MQTT) subscribing(i int) [][]byte {
	return [][]byte{m.handshake(), m.connect("s-", i, m.Read), maskedFrame(m.subscribe())}
}

// publishing is the same for a publisher.
func (m *MQTT) publishing(i int) [][]byte {
	return [][]byte{m.handshake(), m.connect("p-", i, m.Write)}
}

// handshake asks for the WebSocket (RFC 6455, section 4.1). The key may be any
// 16 bytes: it defends against caches, and there are none.
func (m *MQTT) handshake() []byte {
	return Request("GET", m.Path, 0, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: mqtt")
}

// connect asks for a clean start and no keep-alive, as a stream says nothing.
func (m *MQTT) connect(prefix string, i int, passwords []string) []byte {
	const cleanStart, hasPassword = 0x02, 0x40
	body := []byte("\x00\x04MQTT\x05\x00\x00\x00\x00") // name, version, flags, keep-alive, properties
	flags := &body[7]
	*flags = cleanStart
	id := appendText(nil, prefix+strconv.Itoa(i))
	if len(passwords) > 0 {
		*flags |= hasPassword
		id = appendText(id, passwords[i%len(passwords)])
	}
	return maskedFrame(appendPacket(nil, packetConnect, append(body, id...)))
}

func (m *MQTT) subscribe() []byte {
	body := appendText([]byte{0, 1, 0}, m.Topic) // packet id, properties
	return appendPacket(nil, packetSubscribe, append(body, 0))
}

// publishHead is what comes before the payload of each message of size bytes,
// and how much of it, the frame's header, is not masked.
func (m *MQTT) publishHead(size int) (head []byte, plain int) {
	topic := append(appendText(nil, m.Topic), 0) // no properties
	packet := appendLength([]byte{packetPublish}, len(topic)+size)
	packet = append(packet, topic...)
	head = appendMaskedHeader(nil, len(packet)+size)
	return append(head, packet...), len(head)
}

func appendPacket(dst []byte, first byte, body []byte) []byte {
	return append(appendLength(append(dst, first), len(body)), body...)
}

// appendLength writes a variable byte integer (MQTT 5, section 1.5.5).
func appendLength(dst []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}
