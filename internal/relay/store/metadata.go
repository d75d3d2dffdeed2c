package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Metadata is the JSON beside each stored message of the app:
//
//	{"generation":15019479429053662241,"seq":9,"expires-at":[2025,220,16,42,52,123456789]}
//
// generation and seq use all 64 bits. expires-at is UTC: year, day of the year,
// hour, minute, second, nanosecond (pubsub-app contract, 8.1).

// AppendMetadata appends the metadata of a message to b as the app writes it. A
// zero expires is left out.
func AppendMetadata(b []byte, v pubsub.Version, expires time.Time) []byte {
	b = fmt.Appendf(b, `{"generation":%d,"seq":%d`, v.Generation, v.Seq)
	if !expires.IsZero() {
		u := expires.UTC()
		b = fmt.Appendf(b, `,"expires-at":[%d,%d,%d,%d,%d,%d]`,
			u.Year(), u.YearDay(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond())
	}
	return append(b, '}')
}

// ParseMetadata reads metadata as the app does: generation and seq are
// mandatory, unknown members are ignored, repeated ones refused. A zero expires
// means that the message never does.
func ParseMetadata(b []byte) (v pubsub.Version, expires time.Time, err error) {
	var generation, seq *uint64
	err = members(b, func(name string, raw json.RawMessage) error {
		switch name {
		case "generation":
			return json.Unmarshal(raw, &generation)
		case "seq":
			return json.Unmarshal(raw, &seq)
		case "expires-at":
			return parseExpiry(raw, &expires)
		}
		return nil
	})
	switch {
	case err != nil:
		return pubsub.Version{}, time.Time{}, fmt.Errorf("parse metadata: %w", err)
	case generation == nil || seq == nil:
		return pubsub.Version{}, time.Time{}, errors.New("parse metadata: generation or seq is missing")
	}
	return pubsub.Version{Generation: *generation, Seq: *seq}, expires, nil
}

// parseExpiry reads the six numbers of an expiry. null is none, as in the app.
func parseExpiry(raw json.RawMessage, into *time.Time) error {
	var n []int
	if err := json.Unmarshal(raw, &n); err != nil || n == nil {
		return err
	}
	if len(n) != 6 {
		return errors.New("expires-at does not have six numbers")
	}
	u := time.Date(n[0], time.January, n[1], n[2], n[3], n[4], n[5], time.UTC)
	// time.Date accepts day 400 or minute 99 and carries over; the app does not.
	if n[0] < -9999 || n[0] > 9999 || u.Year() != n[0] || u.YearDay() != n[1] || u.Hour() != n[2] ||
		u.Minute() != n[3] || u.Second() != n[4] || u.Nanosecond() != n[5] {
		return errors.New("expires-at is not a date")
	}
	if u.IsZero() {
		u = u.Add(1) // the zero time would mean never, and this one is long past
	}
	*into = u
	return nil
}

// members visits the members of the JSON object b in order. Names are compared
// exactly and a repeated one is an error, neither of which decoding into a
// struct or map would see to.
func members(b []byte, visit func(name string, v json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		name, v, err := member(dec)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("member %s appears twice", strconv.Quote(name))
		}
		seen[name] = true
		if err := visit(name, v); err != nil {
			return err
		}
	}
	return end(dec)
}

// member reads one name and value.
func member(dec *json.Decoder) (name string, v json.RawMessage, err error) {
	t, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, ok := t.(string)
	if !ok {
		return "", nil, errors.New("not a JSON object")
	}
	err = dec.Decode(&v)
	return name, v, err
}

// end reads the closing brace and makes sure that nothing but space follows.
func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return io.ErrUnexpectedEOF // More has seen to everything but a missing brace
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}
