package ui

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// RecordType tells the four kinds of records apart.
type RecordType string

// The kinds of records.
const (
	RecordMessage RecordType = "message" // a message arrived
	RecordStatus  RecordType = "status"  // connected, reconnecting, ended
	RecordGap     RecordType = "gap"     // messages may be missing
	RecordError   RecordType = "error"   // the server refused, or something broke
)

// Record is what subscribe, tail, record, replay and bench say about one
// message or event. Its JSON form is version 1 of the message record: members
// may be added, never renamed, retyped or removed, and an unknown value is left
// out. The zero value of a member means unknown; where zero is also a value, the
// member is a pointer.
type Record struct {
	Type      RecordType
	Time      time.Time // written in UTC with its fraction
	Topic     *string
	ID        string
	Transport string
	Event     string
	// Data is the payload; nil means that the record has none, which is not the
	// same as an empty one. Valid UTF-8 is written as it is, the rest as base64.
	Data     []byte
	Retained *bool
	// Seq counts the messages of this run from 1.
	Seq       uint64
	LatencyMS *float64
	// Conn counts the connections of this run from 1.
	Conn int
	// Text says in one sentence what a status, gap or error is about, and Code is
	// its code if it is a problem.
	Text string
	Code Code
}

// recordJSON fixes the names and the order.
type recordJSON struct {
	V         int        `json:"v"`
	Type      RecordType `json:"type"`
	Time      string     `json:"time,omitempty"`
	Topic     *string    `json:"topic,omitempty"`
	ID        string     `json:"id,omitempty"`
	Transport string     `json:"transport,omitempty"`
	Event     string     `json:"event,omitempty"`
	Encoding  string     `json:"encoding,omitempty"`
	Data      *string    `json:"data,omitempty"`
	Size      *int       `json:"size,omitempty"`
	Retained  *bool      `json:"retained,omitempty"`
	Seq       uint64     `json:"seq,omitempty"`
	LatencyMS *float64   `json:"latency_ms,omitempty"`
	Conn      int        `json:"conn,omitempty"`
	Text      string     `json:"text,omitempty"`
	Code      Code       `json:"code,omitempty"`
}

// MarshalJSON writes the record in version 1 of its form.
func (r Record) MarshalJSON() ([]byte, error) {
	j := recordJSON{
		V: 1, Type: r.Type, Topic: r.Topic, ID: r.ID, Transport: r.Transport, Event: r.Event,
		Retained: r.Retained, Seq: r.Seq, LatencyMS: r.LatencyMS, Conn: r.Conn, Text: r.Text, Code: r.Code,
	}
	if !r.Time.IsZero() {
		j.Time = r.Time.UTC().Format(jsonTime)
	}
	if r.Data != nil {
		data, encoding := Encode(r.Data)
		j.Data, j.Encoding, j.Size = &data, encoding, new(len(r.Data))
	}
	return encodeJSON(j)
}

// WithBody is a record as filters see it: a body that is JSON is there as .json
// as well.
type WithBody struct{ Record }

// MarshalJSON adds the member to the record's own form.
func (w WithBody) MarshalJSON() ([]byte, error) {
	b, err := w.Record.MarshalJSON()
	if err != nil || !json.Valid(w.Data) {
		return b, err
	}
	b = append(b[:len(b)-1], `,"json":`...)
	return append(append(b, w.Data...), '}'), nil
}

// jsonTime is RFC 3339 with a fraction that is there even when it is zero.
const jsonTime = "2006-01-02T15:04:05.000000Z07:00"

// Encode gives the text form of a payload in JSON and the name of its encoding:
// utf8 for the bytes themselves, base64 (standard, padded) for what is not UTF-8.
func Encode(payload []byte) (text, encoding string) {
	if utf8.Valid(payload) {
		return string(payload), "utf8"
	}
	return base64.StdEncoding.EncodeToString(payload), "base64"
}

// encodeJSON marshals v without the escapes meant for HTML and without a line end.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
