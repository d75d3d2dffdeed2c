package relay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

// The first bytes of frames: a final binary or text frame, and a close.
const (
	binaryFrame = 0x82
	textFrame   = 0x81
	closeFrame  = 0x88
)

// mqttConn is an MQTT client that may do as it likes.
type mqttConn struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

// upgraded is a WebSocket on which nothing has been said.
func upgraded(t *testing.T, s *Server) *mqttConn {
	t.Helper()
	c, r := dial(t, s, "GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	if head := readUntil(t, r, "\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("the handshake is answered by %q", head)
	}
	return &mqttConn{t, c, r}
}

// connected is one that has said CONNECT.
func connected(t *testing.T, s *Server) *mqttConn {
	t.Helper()
	m := upgraded(t, s)
	m.send(masked(binaryFrame, connectPacket()))
	m.want(0x20)
	return m
}

// subscribed is one that receives topic test.
func subscribed(t *testing.T, s *Server) *mqttConn {
	t.Helper()
	m := connected(t, s)
	m.send(masked(binaryFrame, "\x82\x0a\x00\x01\x00"+lengthed("test")+"\x00"))
	m.want(0x90)
	return m
}

func (m *mqttConn) send(p string) {
	m.t.Helper()
	if _, err := io.WriteString(m.c, p); err != nil {
		m.t.Fatal(err)
	}
}

// next is the next frame.
func (m *mqttConn) next() (first byte, content []byte, err error) {
	var h [4]byte
	if _, err := io.ReadFull(m.r, h[:2]); err != nil {
		return 0, nil, err
	}
	n := int(h[1])
	if n == 126 {
		if _, err := io.ReadFull(m.r, h[2:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(h[2:]))
	}
	content = make([]byte, n)
	_, err = io.ReadFull(m.r, content)
	return h[0], content, err
}

// want is a frame with a packet of the given first byte.
func (m *mqttConn) want(packet byte) []byte {
	m.t.Helper()
	first, content, err := m.next()
	if err != nil || first != binaryFrame || len(content) == 0 || content[0] != packet {
		m.t.Fatalf("got a frame %x with % x, %v; want packet %x", first, content, err, packet)
	}
	return content
}

// wantClose is a close frame and the end of the connection, once the close is
// answered.
func (m *mqttConn) wantClose(code uint16) {
	m.t.Helper()
	first, content, err := m.next()
	if err != nil || first != closeFrame || len(content) < 2 || binary.BigEndian.Uint16(content) != code {
		m.t.Fatalf("got a frame %x with % x, %v; want close %d", first, content, err, code)
	}
	_, _ = io.WriteString(m.c, masked(closeFrame, string(content[:2]))) // the relay may have gone
	if _, err := io.Copy(io.Discard, m.r); timedOut(err) {
		m.t.Fatal("the connection stays open behind its close frame")
	}
}

func timedOut(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// header is a client's frame header; the mask is of zeros.
func header(first byte, n int) string {
	switch {
	case n < 126:
		return string([]byte{first, 0x80 | byte(n)}) + "\x00\x00\x00\x00"
	case n < 1<<16:
		return string(binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))) + "\x00\x00\x00\x00"
	}
	return string(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(n))) + "\x00\x00\x00\x00"
}

func masked(first byte, content string) string { return header(first, len(content)) + content }

func lengthed(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

// packet has a length of two bytes, which may be longer than needed.
func packet(first byte, body string) string {
	return string([]byte{first, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}) + body
}

func connectPacket() string {
	return packet(0x10, "\x00\x04MQTT\x05\x42\x00\x00\x00"+lengthed("")+lengthed(apptest.TokenRW))
}

func publishPacket(payload string) string { return packet(0x30, lengthed("test")+"\x00"+payload) }

// hugePacket begins a packet of 256 MiB.
const hugePacket = "\x30\xff\xff\xff\x7f"

// hostile is what one client does, and its documented outcome.
var hostile = map[string]struct {
	say  string
	want func(*mqttConn)
}{
	"a text frame":          {masked(textFrame, connectPacket()), answered}, // Quirk Q33: as good as a binary one
	"a compressed frame":    {masked(binaryFrame|0x40, connectPacket()), refused},
	"another reserved bit":  {masked(binaryFrame|0x10, connectPacket()), refused},
	"an unknown opcode":     {masked(0x83, ""), refused},
	"an unmasked frame":     {"\x82\x02\xc0\x00", refused},
	"a frame of 256 MiB":    {header(binaryFrame, 256<<20) + "\x30", tooLong},
	"a frame of 2^63 bytes": {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", tooLong},
	"a length of 5 bytes":   {masked(binaryFrame, "\x30\xff\xff\xff\xff\x01"), malformed},
	"a packet of 256 MiB":   {masked(binaryFrame, hugePacket) + strings.Repeat(masked(binaryFrame, strings.Repeat("x", 7000)), 30), tooLong},
	"a packet in crumbs":    {masked(binaryFrame, "\x30") + crumbs, tooLong},
	"not MQTT at all":       {masked(binaryFrame, "\x10\x0e\x00\x06MQIsdp\x03\x00\x00\x00\x00\x00"), malformed},
}

// crumbs are the rest of a long packet, one byte in each frame.
var crumbs = masked(binaryFrame, "\xff\xff\xff\x7f") + strings.Repeat(masked(binaryFrame, "x"), 4200)

func answered(m *mqttConn)  { m.want(0x20) }
func malformed(m *mqttConn) { m.wantClose(1000) }
func refused(m *mqttConn)   { m.wantClose(1002) }
func tooLong(m *mqttConn)   { m.wantClose(1009) }

// eachWay runs f with a relay that holds descriptors and with a portable one.
func eachWay(t *testing.T, f func(t *testing.T, o Options)) {
	for name, portable := range map[string]bool{"descriptor": false, "portable": true} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.Portable = portable
			f(t, o)
		})
	}
}

func TestHostileMQTTDisturbsNobody(t *testing.T) {
	eachWay(t, func(t *testing.T, o Options) {
		s := startT(t, o)
		witness := subscribed(t, s)
		for name, h := range hostile {
			t.Run(name, func(t *testing.T) {
				m := upgraded(t, s)
				go func() { _, _ = io.WriteString(m.c, h.say) }() // ends with the connection
				h.want(m)
			})
			post(t, s, "topic=test", name)
			if got := witness.want(0x30); !strings.HasSuffix(string(got), name) {
				t.Fatalf("after %s the witness got %q", name, got)
			}
		}
	})
}

// Whoever announces a lot and sends little takes the little, for as long as it
// likes, and may go on whenever it likes.
func TestHalfAPacketForEverIsCheap(t *testing.T) {
	const clients, mostEach = 200, 40 << 10
	ping := masked(binaryFrame, "\xc0\x00")
	eachWay(t, func(t *testing.T, o Options) {
		s := startT(t, o)
		witness := subscribed(t, s)
		half := make([]*mqttConn, clients)
		for i := range half {
			half[i] = connected(t, s)
		}
		before, spent := heap()
		for i, m := range half {
			switch i % 3 {
			case 0: // a frame that is allowed, and its beginning
				m.send(header(binaryFrame, 1<<20) + "\x30")
			case 1: // a packet of 256 MiB
				m.send(masked(binaryFrame, hugePacket))
			case 2: // half a frame's header
				m.send(ping[:1])
			}
		}
		post(t, s, "topic=test", "beside them")
		witness.want(0x30)
		after, spentThen := heap()
		if after > before+clients*mostEach {
			t.Errorf("%d clients with half a packet take %d bytes", clients, after-before)
		}
		if took := spentThen - spent; took > 256<<20 {
			t.Errorf("%d bytes were allocated for what was only announced", took)
		}
		for i := 2; i < clients; i += 3 {
			half[i].send(ping[1:])
			half[i].want(0xd0)
		}
	})
}

// heap is what is in use after a collection, and what was ever allocated.
func heap() (live, total uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.TotalAlloc
}

// A subscriber that stops reading is ended as slow, with no more than its backlog
// held for it; one that floods slows nobody but itself: who reads gets every
// message in order.
func TestFloodOfPublishes(t *testing.T) {
	const messages, size, backlog = 20_000, 1000, 256 << 10
	eachWay(t, func(t *testing.T, o Options) {
		var log syncBuffer
		o.Backlog, o.Log = backlog, slog.New(slog.NewTextHandler(&log, nil))
		s := startT(t, o)
		deaf, witness, flood := subscribed(t, s), subscribed(t, s), connected(t, s)
		before, _ := heap()
		// The flood waits for the witness, or it would make a slow reader of it, too.
		const batch = backlog / size / 4
		padding := strings.Repeat("x", size-8)
		for sent := 0; sent < messages; sent += batch {
			var frames strings.Builder
			for i := range batch {
				frames.WriteString(masked(binaryFrame, publishPacket(fmt.Sprintf("%08d%s", sent+i, padding))))
			}
			flood.send(frames.String())
			for i := range batch {
				if got, want := witness.want(0x30), fmt.Sprintf("%08d", sent+i); !strings.Contains(string(got[:20]), want) {
					t.Fatalf("the witness got %q, want message %s", got[:20], want)
				}
			}
		}
		if after, _ := heap(); after > before+8<<20 {
			t.Errorf("%d bytes are held after %d messages to a client that does not read", after-before, messages)
		}
		_ = deaf.c.SetDeadline(time.Now().Add(patience))
		if n, err := io.Copy(io.Discard, deaf.r); timedOut(err) || n >= messages*size {
			t.Errorf("the client that did not read still got %d bytes of %d, %v", n, messages*size, err)
		}
		if got := log.String(); strings.Count(got, "cause=slow") != 1 {
			t.Errorf("the log does not say once that a client was slow:\n%.2000s", got)
		}
	})
}
