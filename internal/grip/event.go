package grip

import (
	"bytes"
	"strconv"
)

// EventType is the kind of a WebSocket-over-HTTP event.
type EventType uint8

// The events. Unknown ones are skipped by ParseEvents.
const (
	EventUnknown    EventType = iota
	EventOpen                 // the handshake: first request, first event of its answer
	EventText                 // a text message
	EventBinary               // a binary message
	EventPing                 // a ping; Fanout does not answer pings itself
	EventPong                 // a pong
	EventClose                // a close frame: no content, or code and reason (see ParseClose)
	EventDisconnect           // the connection is gone, or has to go, without a close frame
)

// String is the type as the wire spells it, empty for EventUnknown.
func (t EventType) String() string {
	switch t {
	case EventOpen:
		return "OPEN"
	case EventText:
		return "TEXT"
	case EventBinary:
		return "BINARY"
	case EventPing:
		return "PING"
	case EventPong:
		return "PONG"
	case EventClose:
		return "CLOSE"
	case EventDisconnect:
		return "DISCONNECT"
	}
	return ""
}

func eventType(name []byte) EventType {
	for t := EventOpen; t <= EventDisconnect; t++ {
		if string(name) == t.String() {
			return t
		}
	}
	return EventUnknown
}

// Event is one event of a websocket-events body. Content without bytes and no
// content are the same.
type Event struct {
	Type    EventType
	Content []byte
}

// Faults of a websocket-events body.
const (
	errEventLine    Reason = "event line does not end in CRLF"
	errEventType    Reason = "event without a type"
	errEventSize    Reason = "event size is not a hexadecimal number"
	errEventContent Reason = "event content is shorter than its size or does not end in CRLF"
)

// maxEventLine bounds the line in front of the content: a type of any sense
// and a size with more leading zeros than anybody sends.
const maxEventLine = 64

// ParseEvents reads a whole websocket-events body. The contents are parts of b,
// which must not change as long as they are used. Unknown events are skipped.
//
// Content shorter than announced is an error, a Reason like all others here;
// Pushpin delivers what there is.
func ParseEvents(b []byte) ([]Event, error) {
	var events []Event
	for len(b) > 0 {
		e, rest, err := ParseEvent(b)
		if err != nil {
			return nil, err
		}
		if e.Type != EventUnknown {
			events = append(events, e)
		}
		b = rest
	}
	return events, nil
}

// ParseEvent reads the event b begins with and returns what follows it. Its
// content is part of b.
func ParseEvent(b []byte) (e Event, rest []byte, err error) {
	end := bytes.IndexByte(b[:min(len(b), maxEventLine)], '\n')
	if end < 1 || b[end-1] != '\r' {
		return Event{}, nil, errEventLine
	}
	name, size, sized := bytes.Cut(b[:end-1], []byte(" "))
	if len(name) == 0 {
		return Event{}, nil, errEventType
	}
	e.Type, rest = eventType(name), b[end+1:]
	if !sized {
		return e, rest, nil
	}
	n, ok := parseHex(size)
	if !ok {
		return Event{}, nil, errEventSize
	}
	if n > len(rest)-2 || rest[n] != '\r' || rest[n+1] != '\n' {
		return Event{}, nil, errEventContent
	}
	// The cap keeps an append from writing over the next event.
	e.Content = rest[:n:n]
	return e, rest[n+2:], nil
}

// parseHex reads a number of either case and any leading zeros. It refuses
// numbers beyond 28 bits, more than any body holds.
func parseHex(digits []byte) (n int, ok bool) {
	for _, c := range digits {
		d := hexDigit(c)
		if d < 0 || n >= 1<<24 {
			return 0, false
		}
		n = n<<4 | d
	}
	return n, len(digits) > 0
}

// Append appends the event as the wire has it. The size is in lower case
// without leading zeros and left out with the content if there is none, so
// "TEXT 0A" and "TEXT 0" are written differently from how they may have been
// read. EventUnknown appends nothing.
func (e Event) Append(dst []byte) []byte {
	if e.Type == EventUnknown {
		return dst
	}
	dst = append(dst, e.Type.String()...)
	if len(e.Content) > 0 {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(len(e.Content)), 16)
		dst = append(dst, "\r\n"...)
		dst = append(dst, e.Content...)
	}
	return append(dst, "\r\n"...)
}

// AppendEvents appends a whole body.
func AppendEvents(dst []byte, events ...Event) []byte {
	for _, e := range events {
		dst = e.Append(dst)
	}
	return dst
}
