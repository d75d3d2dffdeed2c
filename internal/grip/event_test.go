package grip

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// The bodies are those of the captures whose numbers stand in front.
func TestEventsRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       []Event
	}{
		{"20 open and a control message", "OPEN\r\nTEXT 2a\r\nc:{\"type\": \"subscribe\", \"channel\": \"test\"}\r\n",
			[]Event{{EventOpen, nil}, {EventText, []byte(`c:{"type": "subscribe", "channel": "test"}`)}}},
		{"20 bytes", "BINARY 2\r\n\x00\x01\r\n", []Event{{EventBinary, []byte{0, 1}}}},
		{"20 ping", "PING 2\r\npp\r\n", []Event{{EventPing, []byte("pp")}}},
		{"20 close", "CLOSE 5\r\n\x03\xe9bye\r\n", []Event{{EventClose, []byte("\x03\xe9bye")}}},
		{"22 disconnect", "DISCONNECT\r\n", []Event{{EventDisconnect, nil}}},
		{"24 a batch", "TEXT 1\r\nb\r\nBINARY 1\r\nc\r\nTEXT 1\r\nd\r\n",
			[]Event{{EventText, []byte("b")}, {EventBinary, []byte("c")}, {EventText, []byte("d")}}},
		{"28 close without a code", "CLOSE\r\n", []Event{{EventClose, nil}}},
		{"28 close with code 0", "CLOSE 2\r\n\x00\x00\r\n", []Event{{EventClose, []byte{0, 0}}}},
		{"line ends inside content", "TEXT 4\r\n\r\n\r\n\r\nPONG\r\n", []Event{{EventText, []byte("\r\n\r\n")}, {EventPong, nil}}},
		{"an empty body", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseEvents([]byte(tt.body))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %v, %v; want %v", got, err, tt.want)
			}
			if out := string(AppendEvents(nil, got...)); out != tt.body {
				t.Errorf("wrote %q, want %q", out, tt.body)
			}
		})
	}
}

func TestParseEventsLeniency(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       []Event
	}{
		{"upper case size", "TEXT 0A\r\n0123456789\r\n", []Event{{EventText, []byte("0123456789")}}},
		{"leading zeros", "TEXT 000000005\r\nhello\r\n", []Event{{EventText, []byte("hello")}}},
		{"a size of zero", "TEXT 0\r\n\r\n", []Event{{EventText, []byte{}}}},
		{"unknown events are skipped", "NEW 2\r\nxx\r\nOTHER\r\nTEXT\r\n", []Event{{EventText, nil}}},
		{"types are upper case", "text\r\n", nil},
	} {
		if got, err := ParseEvents([]byte(tt.body)); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseEventsRefuses(t *testing.T) {
	for _, tt := range []struct {
		body string
		want Reason
	}{
		{"OPEN", errEventLine}, {"OPEN\n", errEventLine}, {"\n", errEventLine}, {"OPEN\r", errEventLine},
		{strings.Repeat("A", 200) + "\r\n", errEventLine},
		{"\r\n", errEventType}, {" 5\r\nhello\r\n", errEventType},
		{"TEXT \r\n", errEventSize}, {"TEXT  5\r\nhello\r\n", errEventSize}, {"TEXT 5 \r\nhello\r\n", errEventSize},
		{"TEXT -1\r\n\r\n", errEventSize}, {"TEXT 0x5\r\nhello\r\n", errEventSize}, {"TEXT g\r\n\r\n", errEventSize},
		{"TEXT ffffffffffffffffffff\r\n\r\n", errEventSize},
		{"TEXT 5\r\nab\r\n", errEventContent}, {"TEXT 5\r\nhello", errEventContent}, {"TEXT 5\r\nhello\n\r", errEventContent},
		{"TEXT 0\r\n", errEventContent}, {"TEXT 5\r\n", errEventContent},
		{"OPEN\r\nTEXT 9\r\nx\r\n", errEventContent},
	} {
		if got, err := ParseEvents([]byte(tt.body)); got != nil || !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, %v; want %v", tt.body, got, err, tt.want)
		}
	}
}

func TestEventContentIsNotCopiedNorExtended(t *testing.T) {
	body := []byte("TEXT 1\r\na\r\nTEXT 1\r\nb\r\n")
	events, err := ParseEvents(body)
	if err != nil {
		t.Fatal(err)
	}
	if &events[0].Content[0] != &body[8] {
		t.Error("content was copied")
	}
	_ = append(events[0].Content, "overrun"...)
	if string(events[1].Content) != "b" || string(body[9:11]) != "\r\n" {
		t.Errorf("an append to one content changed the body: %q", body)
	}
}

func TestEventAllocations(t *testing.T) {
	body := []byte("TEXT 5\r\nhello\r\n")
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		e, rest, err := ParseEvent(body)
		if err != nil || len(rest) != 0 {
			t.Error("not parsed")
		}
		buf = e.Append(buf[:0])
	}); n != 0 {
		t.Errorf("parsing and appending one event takes %v allocations, want 0", n)
	}
}

func TestEventUnknownAppendsNothing(t *testing.T) {
	if got := (Event{Content: []byte("x")}).Append([]byte("a")); string(got) != "a" {
		t.Errorf("got %q", got)
	}
}

// What is accepted is written in the canonical form: no leading zeros, lower
// case, no size for empty content, unknown events gone. It is never longer, and
// reads and writes the same from then on.
func FuzzParseEvents(f *testing.F) {
	f.Add([]byte("OPEN\r\nTEXT 2a\r\nc:{\"type\": \"subscribe\", \"channel\": \"test\"}\r\n"))
	f.Add([]byte("CLOSE 5\r\n\x03\xe9bye\r\nDISCONNECT\r\nPING 0\r\n\r\nX 1\r\ny\r\nBINARY 00F\r\n123456789012345\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := ParseEvents(body)
		if err != nil {
			return
		}
		out := AppendEvents(nil, events...)
		if len(out) > len(body) {
			t.Errorf("%q grew to %q", body, out)
		}
		back, err := ParseEvents(out)
		if err != nil || len(back) != len(events) {
			t.Fatalf("read %v, wrote %q, read back %v, %v", events, out, back, err)
		}
		for i, e := range events {
			if back[i].Type != e.Type || !bytes.Equal(back[i].Content, e.Content) {
				t.Errorf("event %d: read %v, read back %v", i, e, back[i])
			}
		}
		if again := AppendEvents(nil, back...); !bytes.Equal(again, out) {
			t.Errorf("wrote %q, then %q", out, again)
		}
	})
}

func BenchmarkParseEvents(b *testing.B) {
	body := AppendEvents(nil, Event{EventText, bytes.Repeat([]byte("x"), 200)}, Event{EventBinary, make([]byte, 200)})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEvents(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventAppend(b *testing.B) {
	e := Event{EventText, bytes.Repeat([]byte("x"), 200)}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
