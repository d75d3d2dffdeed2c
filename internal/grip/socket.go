package grip

import (
	"bytes"
	"strings"
)

// DefaultPrefix starts the origin's messages to the client unless it agreed on
// another.
const DefaultPrefix = "m:"

const controlPrefix = "c:"

// ParseExtensions looks for the grip extension in the Sec-WebSocket-Extensions
// of an origin's first answer. ok tells whether the origin wants control
// messages; prefix is then what its messages to the client start with, possibly
// nothing.
func ParseExtensions(values []string) (prefix string, ok bool) {
	for _, s := range splitLists(values) {
		e, valid := parseEntry(s)
		if !valid || !strings.EqualFold(e.first, "grip") {
			continue
		}
		if prefix, ok = e.get("message-prefix"); !ok {
			prefix = DefaultPrefix
		}
		return prefix, true
	}
	return "", false
}

// Class tells what an origin's event is under the grip extension.
type Class uint8

// The classes.
const (
	ClassDropped Class = iota // a message without the prefix, lost without a word
	ClassControl              // a control message, for ParseControl
	ClassMessage              // for the client
)

// Classify tells what to do with an event of an origin that agreed on the grip
// extension, and returns its content without the prefix. Text starting with
// "c:" is a control message even if the prefix is empty; binary never is.
// Events that are no text or binary messages are for the client as they are.
func Classify(e Event, prefix string) (Class, []byte) {
	if e.Type != EventText && e.Type != EventBinary {
		return ClassMessage, e.Content
	}
	if rest, ok := bytes.CutPrefix(e.Content, []byte(controlPrefix)); ok && e.Type == EventText {
		return ClassControl, rest
	}
	rest, ok := bytes.CutPrefix(e.Content, []byte(prefix))
	if !ok {
		return ClassDropped, nil
	}
	return ClassMessage, rest
}
