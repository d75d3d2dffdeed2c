package sse

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// ErrNotMessage says that an event carries no payload of a topic.
var ErrNotMessage = errors.New("not a message event")

// TooLargeError says that an event, or a line of one, needs more memory than
// the Reader may use. The stream cannot be read on.
type TooLargeError struct {
	// Limit is what was allowed, in bytes.
	Limit int
}

// Error names the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("event is larger than %d bytes", e.Limit)
}

// Event is one dispatched event.
type Event struct {
	// Name is the event's type, "message" if the stream gives none.
	Name string
	// Data is the data lines joined by line feeds. It is valid until the next
	// call of Next.
	Data []byte
	// ID is the last event id of the stream, which this event may have inherited.
	ID string
	// HasID is set when this event brought the id itself.
	HasID bool
	// Retry is the reconnection time the stream asked for since the event
	// before; zero if it asked for none.
	Retry time.Duration
}

// DecodeMessage returns the payload of a message or message-base64 event, and
// ErrNotMessage for any other. The payload may share memory with e.Data.
func DecodeMessage(e Event) ([]byte, error) {
	switch e.Name {
	case Message:
		return e.Data, nil
	case MessageB64:
		payload, err := base64.StdEncoding.Strict().AppendDecode(nil, e.Data)
		if err != nil {
			return nil, fmt.Errorf("decode message-base64 event: %w", err)
		}
		return payload, nil
	}
	return nil, ErrNotMessage
}

// Reader takes an event stream apart. It belongs to one goroutine.
type Reader struct {
	// Received, if not nil, is called after every read that brought bytes, with
	// their number, before they are looked at: comments and unfinished events
	// show that the other side is alive, too. It runs inside Next and must not
	// call it. Set it before the first Next.
	Received func(n int)

	lines lines
	limit int

	// The event being read.
	name, data []byte
	hasData    bool
	retry      time.Duration
	hasID      bool
	begun      bool // some field of the event was read

	// lastID is the last event id as read so far; it is committed at each
	// event's end, even of an event without data.
	lastID, committedID string
}

// NewReader returns a Reader of the stream r in which an event, or a comment,
// takes at most maxEvent bytes: the line being read and the fields read before
// it, name and data, without the field names of those.
func NewReader(r io.Reader, maxEvent int) *Reader {
	return &Reader{lines: lines{src: r}, limit: maxEvent}
}

// LastEventID is the id to resume from: that of the last complete event.
func (r *Reader) LastEventID() string { return r.committedID }

// Next returns the next event that has data. It waits for the stream and no
// longer: an event is returned when its empty line is there. At the end of the
// stream the error is io.EOF, or io.ErrUnexpectedEOF if an event was begun and
// is lost; a *TooLargeError when the limit is exceeded; else the stream's own.
// After an error the Reader is of no more use.
func (r *Reader) Next() (Event, error) {
	r.name, r.data, r.hasData, r.hasID, r.retry = r.name[:0], r.data[:0], false, false, 0
	for {
		line, err := r.nextLine()
		if err != nil {
			return Event{}, err
		}
		if len(line) > 0 {
			r.field(line)
			continue
		}
		r.begun, r.committedID = false, r.lastID
		if r.hasData {
			return r.event(), nil
		}
		r.name, r.hasID = r.name[:0], false
	}
}

func (r *Reader) nextLine() ([]byte, error) {
	line, err := r.lines.next(r.limit-len(r.name)-len(r.data), r.Received)
	if errors.Is(err, errLineTooLong) {
		return nil, &TooLargeError{Limit: r.limit}
	}
	if errors.Is(err, io.EOF) && (r.begun || r.lines.pending()) {
		return nil, io.ErrUnexpectedEOF
	}
	return line, err
}

// field interprets one line that is not empty.
func (r *Reader) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(name) {
	case "":
		return // a comment
	case "data":
		if r.hasData {
			r.data = append(r.data, '\n')
		}
		r.data, r.hasData = append(r.data, value...), true
	case "event":
		r.name = append(r.name[:0], value...)
	case "id":
		r.setID(value)
	case "retry":
		r.setRetry(value)
	}
	r.begun = true
}

func (r *Reader) setID(value []byte) {
	if bytes.IndexByte(value, 0) >= 0 {
		return
	}
	r.hasID = true
	if r.lastID != string(value) {
		r.lastID = string(value)
	}
}

// setRetry takes a number of milliseconds made of digits only. More than a
// Duration holds is as good as the longest one.
func (r *Reader) setRetry(value []byte) {
	for _, c := range value {
		if c < '0' || c > '9' {
			return
		}
	}
	ms, err := strconv.ParseInt(string(value), 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return
	}
	r.retry = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

func (r *Reader) event() Event {
	return Event{Name: eventName(r.name), Data: r.data, ID: r.lastID, HasID: r.hasID, Retry: r.retry}
}

// eventName spares the names that matter an allocation for each event.
func eventName(name []byte) string {
	switch string(name) {
	case "", Message:
		return Message
	case MessageB64:
		return MessageB64
	case KeepAlive:
		return KeepAlive
	case StreamOpen:
		return StreamOpen
	case StreamError:
		return StreamError
	}
	return string(name)
}
