package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const brokerTopic = "some/topic"

// broker is an ordinary MQTT server: a goroutine for reading and one for writing
// per connection. Its packets are read by hand, as a second opinion on what the
// load generator says. Faults of messages are those of simple; others are on the
// wire.
type broker struct {
	*simple
	fault string
	ids   map[string]bool // guarded by simple's mu: client ids in use
}

func serveBroker(ctx context.Context, args []string, ready func(addr string)) error {
	b := &broker{fault: args[0], ids: make(map[string]bool)}
	b.simple = &simple{subs: make(map[chan []byte]bool), fault: args[0], frame: b.message}
	return serveHandler(ctx, b, nil, ready)
}

func brokerSpec(fault string) Spec {
	return Spec{
		Name: "broker", Start: Self("broker", fault),
		MQTT: &MQTT{Path: "/mqtt", Topic: brokerTopic, Read: []string{"r0", "r1"}, Write: []string{"w"}},
	}
}

// crossSpec is a broker whose publishers use POST.
func crossSpec() Spec {
	s := brokerSpec("")
	s.Publish, s.Answer = Floor(false).Publish, "HTTP/1.1 200"
	return s
}

func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost || b.fault == "status" {
		b.simple.ServeHTTP(w, r)
		return
	}
	if r.URL.Path != "/mqtt" || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(floorSwitch))
	b.serve(conn, buf.Reader)
}

// serve reads packets until the connection or the client is at fault.
func (b *broker) serve(conn net.Conn, r *bufio.Reader) {
	for {
		p, err := readMasked(r)
		if err != nil || len(p) < 2 || !b.packet(conn, p) {
			return
		}
	}
}

// packet answers one packet; false ends the connection.
func (b *broker) packet(conn net.Conn, p []byte) bool {
	first, body, rest, err := cutPacket(p)
	if err != nil || len(rest) > 0 {
		return false
	}
	switch first {
	case packetConnect:
		return b.send(conn, packetConnack, []byte{0, b.admit(body), 0})
	case packetSubscribe:
		want := append(appendText([]byte{0, 1, 0}, brokerTopic), 0)
		if !bytes.Equal(body, want) {
			return false
		}
		return b.subscribe(conn)
	case packetPublish:
		return b.publishPacket(conn, body)
	}
	return false
}

// admit checks a CONNECT and returns the reason code of its answer.
func (b *broker) admit(body []byte) byte {
	rest, ok := bytes.CutPrefix(body, []byte("\x00\x04MQTT\x05\x42\x00\x00\x00"))
	id, rest, ok1 := cutText(rest)
	password, rest, ok2 := cutText(rest)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !ok || !ok1 || !ok2 || len(rest) > 0 || id == "" || b.ids[id]:
		return 0x85 // client identifier not valid
	case b.fault == "connack" || password[0] != map[byte]byte{'s': 'r', 'p': 'w'}[id[0]]:
		return 0x87 // not authorized
	}
	b.ids[id] = true
	return 0
}

func cutText(p []byte) (text string, rest []byte, ok bool) {
	if len(p) < 2 || len(p)-2 < int(binary.BigEndian.Uint16(p)) {
		return "", nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(p))
	return string(p[2:n]), p[n:], true
}

func (b *broker) subscribe(conn net.Conn) bool {
	reason := byte(0)
	if b.fault == "suback" {
		reason = 0x87
	}
	c, leave := b.join()
	if !b.send(conn, packetSuback, []byte{0, 1, 0, reason}) {
		leave()
		return false
	}
	go func() { // ends with the connection, which a message finds out
		defer leave()
		for p := range c {
			if _, err := conn.Write(p); err != nil {
				return
			}
		}
	}()
	return true
}

func (b *broker) publishPacket(conn net.Conn, body []byte) bool {
	payload, ok := bytes.CutPrefix(body, append(appendText(nil, brokerTopic), 0))
	if !ok {
		return false
	}
	switch b.fault {
	case "hang up":
		return false
	case "answer":
		return b.send(conn, 0xD0, nil)
	}
	b.publish(payload)
	return true
}

func (b *broker) send(conn net.Conn, first byte, body []byte) bool {
	_, err := conn.Write(appendServerFrame(nil, appendPacket(nil, first, body)))
	return err == nil
}

// message is the frame of a payload, wrong in the way the fault says.
func (b *broker) message(payload []byte) []byte {
	first, topic, properties := byte(packetPublish), brokerTopic, "\x00"
	switch b.fault {
	case "retained":
		first |= 1
	case "topic":
		topic = strings.ToUpper(topic)
	case "short":
		payload = payload[:len(payload)-1]
	case "properties":
		properties = "\x05\x02\x00\x00\x00\x3b" // legal
	}
	frame := appendServerFrame(nil, appendPacket(nil, first, append(appendText(nil, topic), properties+string(payload)...)))
	switch b.fault {
	case "text":
		frame[0] = 0x81
	case "masked":
		frame[1] |= masked
	case "fragment":
		frame[0] &^= 0x80
	}
	return frame
}

// readMasked reads a client's frame and insists on a mask that changes it.
func readMasked(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return nil, err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		if _, err := io.ReadFull(r, head[2:]); err != nil {
			return nil, err
		}
		size = int(head[2])<<8 | int(head[3])
	}
	var key [4]byte
	if _, err := io.ReadFull(r, key[:]); err != nil {
		return nil, err
	}
	if head[0] != 0x82 || head[1]&0x80 == 0 || size == 127 || key == [4]byte{} {
		return nil, fmt.Errorf("frame %x with key %x", head, key)
	}
	p := make([]byte, size)
	_, err := io.ReadFull(r, p)
	for i := range p {
		p[i] ^= key[i%4]
	}
	return p, err
}

func TestBrokerTrafficReachesEverySubscriber(t *testing.T) {
	single, paced, many, large := brief(20), brief(20), brief(20), brief(5)
	single.Window, paced.Rate, many.Publishers, large.Payload = 1, 100, 3, 10_000
	stalled := brief(20)
	stalled.Stalled = 1
	tests := []struct {
		name string
		spec Spec
		job  Job
	}{
		{"saturated floor", FloorMQTT(false), brief(20)},
		{"saturated batching floor", FloorMQTT(true), many},
		{"one message at a time", FloorMQTT(false), single},
		{"broker", brokerSpec(""), brief(20)},
		{"paced", brokerSpec(""), paced},
		{"several publishers", brokerSpec(""), many},
		{"frames with a longer header", brokerSpec(""), large},
		{"published by POST", crossSpec(), brief(20)},
		{"messages with properties", brokerSpec("properties"), brief(5)},
		{"a stalled reader beside the others", brokerSpec(""), stalled},
	}
	h := newHarness(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := h.Run(t.Context(), tt.spec, tt.job)
			if err != nil {
				t.Fatal(err)
			}
			checkResult(t, tt.job, r)
		})
	}
}

func TestBrokerFaultsFailTheRun(t *testing.T) {
	tests := []struct{ fault, want string }{
		{"drop", "lost, repeated or out of order"},
		{"repeat", "lost, repeated or out of order"},
		{"swap", "lost, repeated or out of order"},
		{"damage", "payload arrived damaged"},
		{"short", "payload arrived damaged"},
		{"silent", "limit of 2s passed: subscriber"},
		{"topic", "message of another topic"},
		{"retained", "packet 0x31"},
		{"text", "frame beginning with 817e"},
		{"masked", "frame beginning with 82fe"},
		{"fragment", "frame beginning with 027e"},
		{"status", "wanted status 101"},
		{"connack", "packet 0x20 refuses with reason 0x87"},
		{"suback", "packet 0x90 refuses with reason 0x87"},
		{"answer", "publishes have no answer, received 8202d000"},
		{"hang up", "publisher 0: read: EOF"},
	}
	h := newHarness(t)
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			j := brief(3)
			j.Limit = 2 * time.Second
			_, err := h.Run(t.Context(), brokerSpec(tt.fault), j)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestBrokerOpensAndKeepsEveryConnection(t *testing.T) {
	h := newHarness(t)
	for _, s := range []Spec{FloorMQTT(false), brokerSpec("")} {
		t.Run(s.Name, func(t *testing.T) {
			r, err := h.Run(t.Context(), s, Job{Kind: Connect, Subscribers: 100})
			if err != nil || r.Opened != 100 {
				t.Errorf("opened %d connections, %v; want 100", r.Opened, err)
			}
		})
	}
	m, err := h.Idle(t.Context(), FloorMQTT(false), 500)
	if err != nil || m.Heap > 1000 {
		t.Errorf("an idle connection costs the floor %+v, %v", m, err)
	}
}

func TestBrokerNeedsAPlainConnection(t *testing.T) {
	s := brokerSpec("")
	s.Wire = TLS
	if _, err := newHarness(t).Run(t.Context(), s, brief(1)); err == nil || !strings.Contains(err.Error(), "plain connection") {
		t.Errorf("got error %v, want a refusal", err)
	}
}
