package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// MaxFile is the largest sample file read or written, in bytes.
const MaxFile = 64 << 20

// ReadKeysFile reads signing keys in the layout of the app's local runs
// (pubsub-app contract, 8.3): one JSON object, key id to secret. Keys come in
// the order of the file. A repeated id, an id no store can hold and anything
// that is not text are errors, and so is a file above MaxFile.
func ReadKeysFile(r io.Reader) ([]Key, error) {
	var keys []Key
	err := readFile(r, func(id string, v json.RawMessage) error {
		var value *string
		if err := json.Unmarshal(v, &value); err != nil || value == nil {
			return fmt.Errorf("key %q: the secret is not a string", id)
		}
		k := Key{ID: id, Secret: []byte(*value)}
		keys = append(keys, k)
		return CheckKey(k)
	})
	if err != nil {
		return nil, fmt.Errorf("read keys file: %w", err)
	}
	return keys, nil
}

// WriteKeysFile writes keys in the layout ReadKeysFile reads, ordered by id. It
// writes nothing and fails if a secret is not UTF-8, which the layout cannot hold.
// What it writes is secret.
func WriteKeysFile(w io.Writer, keys []Key) error {
	file := map[string]string{}
	for _, k := range keys {
		if !utf8.Valid(k.Secret) || !utf8.ValidString(k.ID) {
			return fmt.Errorf("write keys file: key %q is not UTF-8 text", k.ID)
		}
		file[k.ID] = string(k.Secret)
	}
	return writeFile(w, "keys", file)
}

// item is one message of a messages file.
type item struct {
	Metadata string `json:"metadata"`
	Data     string `json:"data"`
}

// ReadMessagesFile reads stored messages in the layout of the app's local runs:
// one JSON object, "r:" and topic to metadata (JSON in a string) and data. As in
// the app, metadata that is missing or not understood makes the slot unreadable
// and is no error of the file. Records come in the order of the file.
func ReadMessagesFile(r io.Reader) ([]*Record, error) {
	var records []*Record
	err := readFile(r, func(name string, v json.RawMessage) error {
		topic, ok := strings.CutPrefix(name, messagePrefix)
		if !ok {
			return fmt.Errorf("item %q is not a message: its name does not begin with %s", name, messagePrefix)
		}
		rec, err := parseItem(pubsub.Topic(topic), v)
		if err != nil {
			return fmt.Errorf("item %q: %w", name, err)
		}
		records = append(records, rec)
		return CheckRecord(rec)
	})
	if err != nil {
		return nil, fmt.Errorf("read messages file: %w", err)
	}
	return records, nil
}

// parseItem reads one value of a messages file. A bare string is data without
// metadata.
func parseItem(t pubsub.Topic, v json.RawMessage) (*Record, error) {
	var data string
	if json.Unmarshal(v, &data) == nil && v[0] == '"' {
		return &Record{Topic: t, Unreadable: true}, nil
	}
	var it struct{ Metadata, Data *string }
	err := members(v, func(name string, v json.RawMessage) error {
		switch name {
		case "metadata":
			return json.Unmarshal(v, &it.Metadata)
		case "data":
			return json.Unmarshal(v, &it.Data)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case it.Data == nil:
		return nil, errors.New("there is no data")
	case it.Metadata == nil:
		return &Record{Topic: t, Unreadable: true}, nil
	}
	return newRecord(t, *it.Metadata, *it.Data), nil
}

func newRecord(t pubsub.Topic, metadata, data string) *Record {
	v, expires, err := ParseMetadata([]byte(metadata))
	if err != nil {
		return &Record{Topic: t, Unreadable: true}
	}
	return &Record{Topic: t, Version: v, Entry: Entry{Data: []byte(data), Expires: expires}}
}

// WriteMessagesFile writes records in the layout ReadMessagesFile reads, ordered
// by topic. It writes nothing and fails if a payload is not UTF-8, which the
// layout cannot hold. Of an unreadable slot only the fact is written.
func WriteMessagesFile(w io.Writer, records []*Record) error {
	file := map[string]item{}
	for _, r := range records {
		name := MessageKey(r.Topic)
		if r.Unreadable {
			file[name] = item{Metadata: "{}"}
			continue
		}
		if !utf8.Valid(r.Entry.Data) || !utf8.ValidString(name) {
			return fmt.Errorf("write messages file: the message of topic %q is not UTF-8 text", string(r.Topic))
		}
		meta := AppendMetadata(nil, r.Version, r.Entry.Expires)
		file[name] = item{Metadata: string(meta), Data: string(r.Entry.Data)}
	}
	return writeFile(w, "messages", file)
}

// readFile visits the members of the one JSON object in r.
func readFile(r io.Reader, visit func(name string, v json.RawMessage) error) error {
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	switch {
	case err != nil:
		return err
	case len(text) > MaxFile:
		return fmt.Errorf("it is larger than %d bytes", MaxFile)
	case !utf8.Valid(text):
		// The JSON reader would put replacement characters into secrets.
		return errors.New("it is not UTF-8 text")
	}
	return members(text, visit)
}

// writeFile writes a JSON object with sorted members and a newline. HTML escapes
// are left out because people read and edit these files.
func writeFile(w io.Writer, what string, file any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(file); err != nil {
		return fmt.Errorf("write %s file: %w", what, err)
	}
	if b.Len() > MaxFile {
		return fmt.Errorf("write %s file: it would be larger than %d bytes", what, MaxFile)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write %s file: %w", what, err)
	}
	return nil
}
