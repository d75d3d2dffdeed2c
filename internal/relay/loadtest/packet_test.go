package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// serverFrame is a frame with a packet of payload p on topic.
func serverFrame(topic string, p []byte) []byte {
	return appendServerFrame(nil, appendPacket(nil, packetPublish, append(append(appendText(nil, topic), 0), p...)))
}

const (
	acceptHead = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	acceptAcks = "\x82\x05\x20\x03\x00\x00\x00\x82\x06\x90\x04\x00\x01\x00\x00"
)

func brokerExpect(size int) *expect {
	return &expect{status: 101, size: size, padding: paddingBlock(), mqtt: true, topic: "t"}
}

// The vectors of the app's transcript: what is sent is what the app reads.
func TestPacketsAreAsTheProtocolWantsThem(t *testing.T) {
	m := &MQTT{Path: "/mqtt", Topic: "test", Read: []string{"secret", "other"}}
	say := m.subscribing(1)
	head, plain := m.publishHead(2)
	publish := append(bytes.Clone(head), "yo"...)
	mask(publish[plain:], maskBlock([]byte(maskKey), 16))
	tests := []struct {
		name  string
		frame []byte
		want  string
	}{
		{"CONNECT", say[1], "\x10\x17\x00\x04MQTT\x05\x42\x00\x00\x00\x00\x03s-1\x00\x05other"},
		{"CONNECT without a password", m.publishing(7)[1], "\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03p-7"},
		{"SUBSCRIBE", say[2], "\x82\x0a\x00\x01\x00\x00\x04test\x00"},
		{"PUBLISH", publish, "\x30\x09\x00\x04test\x00yo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, rest, ok, err := cutMasked(tt.frame)
			if string(got) != tt.want || len(rest) > 0 || !ok || err != nil {
				t.Errorf("got %q, %d bytes left, %v, %v; want %q", got, len(rest), ok, err, tt.want)
			}
		})
	}
	if want := "GET /mqtt HTTP/1.1\r\n"; !strings.HasPrefix(string(say[0]), want) {
		t.Errorf("handshake %q, want %q first", say[0], want)
	}
}

func TestMaskedFramesSurviveEveryLength(t *testing.T) {
	for _, size := range []int{1, 7, 8, 125, 126, 200, maxContent} {
		content := bytes.Repeat([]byte("abc"), size)[:size]
		frame := maskedFrame(content)
		if bytes.Contains(frame, content) {
			t.Errorf("%d bytes are not masked", size)
		}
		for _, short := range []int{0, 1, 3, len(frame) - 1} {
			if _, rest, ok, err := cutMasked(frame[:short]); ok || err != nil || len(rest) != short {
				t.Errorf("%d bytes of a frame: complete %v, %v", short, ok, err)
			}
		}
		got, rest, ok, err := cutMasked(append(frame, '!'))
		if !bytes.Equal(got, content) || string(rest) != "!" || !ok || err != nil {
			t.Errorf("%d bytes do not come back: %v, %v", size, ok, err)
		}
	}
}

func TestPacketsSurviveEveryCut(t *testing.T) {
	for _, size := range []int{40, 200} { // two sizes of frame header
		all := []byte(acceptHead + acceptAcks)
		for seq := range uint32(2) {
			all = append(all, serverFrame("t", appendPayload(nil, size, record{seq: seq, at: 5}))...)
		}
		e := brokerExpect(size)
		for i := range all {
			for j := i; j < len(all); j += 41 {
				if err := conversation(e, all[:i], all[i:j], all[j:]); err != nil {
					t.Fatalf("size %d cut at %d and %d: %v", size, i, j, err)
				}
			}
		}
	}
}

// conversation wants pieces to be the answers to a subscriber and two messages.
func conversation(e *expect, pieces ...[]byte) error {
	in, l := inbound{parts: 3}, newLedger(1, 1, 2)
	l.send(0)
	l.send(0)
	for _, p := range pieces {
		if err := in.feed(p, e, l, 9); err != nil {
			return err
		}
	}
	if !in.open {
		return errors.New("not open")
	}
	return l.missing()
}

func TestConnectionIsOpenWithItsLastAnswer(t *testing.T) {
	all := []byte(acceptHead + acceptAcks)
	for _, tt := range []struct{ parts, opens int }{{3, len(all)}, {2, len(all) - 8}} {
		in, l := inbound{parts: tt.parts}, newLedger(1, 1, 1)
		for i, b := range all[:tt.opens] {
			if err := in.feed([]byte{b}, brokerExpect(40), l, 0); err != nil || in.open != (i+1 == tt.opens) {
				t.Fatalf("%d parts: open %v after %d bytes, %v; want open from %d", tt.parts, in.open, i+1, err, tt.opens)
			}
		}
	}
}

func TestSeveralPacketsInOneFrameCount(t *testing.T) {
	l := newLedger(1, 1, 2)
	var content []byte
	for range 2 {
		seq := l.send(0)
		content = appendPacket(content, packetPublish, appendPayload([]byte("\x00\x01t\x00"), 40, record{seq: seq}))
	}
	in := inbound{answered: 3, open: true}
	if err := in.feed(appendServerFrame(nil, content), brokerExpect(40), l, 0); err != nil || l.open != 0 {
		t.Errorf("%d messages missing, %v", l.open, err)
	}
}

func TestWrongPacketsAreRefused(t *testing.T) {
	good := appendPayload(nil, 40, record{})
	tests := []struct {
		name, content string
		want          error
	}{
		{"no length", "\x30", errPacket},
		{"an endless length", "\x30\xff\xff\xff\xff\x01", errPacket},
		{"a packet past its frame", "\x30\x02x", errPacket},
		{"no topic", "\x30\x01x", errPacket},
		{"a topic past its packet", "\x30\x03\x00\x02t", errPacket},
		{"no properties", "\x30\x03\x00\x01t", errPacket},
		{"properties past their packet", "\x30\x04\x00\x01t\x01", errPacket},
		{"no payload", "\x30\x04\x00\x01t\x00", errDamaged},
		{"another topic", string(serverFrame("u", good)[2:]), errTopic},
		{"a payload that goes on", string(serverFrame("t", append(good, 'x'))[2:]), errDamaged},
		{"an answer to nothing", "\x20\x03\x00\x00\x00", nil},
		{"a farewell", "\xe0\x01\x8e", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(1, 1, 1)
			l.send(0)
			in := inbound{answered: 3, open: true}
			err := in.feed(appendServerFrame(nil, []byte(tt.content)), brokerExpect(40), l, 0)
			if err == nil || tt.want != nil && err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// FuzzPackets holds that any bytes are read without a panic, and the same
// however they are cut.
func FuzzPackets(f *testing.F) {
	message := serverFrame("t", appendPayload(nil, 40, record{}))
	f.Add([]byte(acceptAcks+string(message)), uint64(1))
	f.Add([]byte("\x82\x7e\x00\x05\x20\x03\x00\x00\x00\x82\x00\x88\x00"), uint64(2))
	f.Add([]byte("\x82\x04\x30\x82\x80\x00"), uint64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		read := func(pieces ...[]byte) string {
			c, l := inbound{parts: 3, answered: 1}, newLedger(1, 1, 1)
			l.send(0)
			for _, p := range pieces {
				if err := c.feed(p, brokerExpect(40), l, 0); err != nil {
					return fmt.Sprint(err, c.answered, l.open)
				}
			}
			return fmt.Sprint(c.answered, l.open)
		}
		if whole, cut := read(in), read(cut(in, seed)...); whole != cut {
			t.Errorf("%q in one piece, %q in several", whole, cut)
		}
	})
}

// FuzzCutMasked holds that what the floor reads of a client is what it was sent.
func FuzzCutMasked(f *testing.F) {
	f.Add(maskedFrame([]byte("\xc0\x00")))
	f.Add([]byte("\x82\xfe\x00\x01abcdx"))
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		content, rest, ok, err := cutMasked(in)
		if !ok || err != nil {
			if !bytes.Equal(before, in) {
				t.Error("an incomplete frame has been changed")
			}
			return
		}
		size := len(in) - len(rest)
		unmask(content, before[size-len(content)-maskLen:])
		if !bytes.Equal(before, in) || !bytes.Equal(rest, before[size:]) {
			t.Errorf("%x does not come back from %x", before, content)
		}
	})
}
