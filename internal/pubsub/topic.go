package pubsub

import (
	"strings"
	"unicode/utf8"
)

// PlainTopic reports whether t can stand in the query of an HTTP publish
// without any encoding, which is the only way to name a topic there (Quirk Q6;
// pubsub-app contract, 15.1). Other topics can be published over MQTT only.
func PlainTopic(t Topic) bool {
	for i := range len(t) {
		if c := t[i]; !isAlphanumeric(c) && strings.IndexByte("-._~/:@!$*(),;=?", c) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// keyMax is the longest key of a KV store, in bytes.
const keyMax = 1024

// LegalKey reports whether key can name an item of a KV store: 1 to 1024 bytes
// of UTF-8, neither "." nor "..", none of # ; ? ^ | CR LF, no "./" and not
// under .well-known/acme-challenge/ (pubsub-app contract, 4.7 and 11). A stored
// message of topic T has the key "r:" + T.
func LegalKey(key string) bool {
	return key != "" && len(key) <= keyMax && utf8.ValidString(key) &&
		key != "." && key != ".." &&
		!strings.ContainsAny(key, "#;?^|\r\n") &&
		!strings.Contains(key, "./") &&
		!strings.HasPrefix(key, ".well-known/acme-challenge/")
}

// Hazard is a way in which a topic's name does not do what it seems to
// (pubsub-app contract, 4.7).
type Hazard uint8

// The hazards, in the order Hazards reports them.
const (
	// HazardWildcard: * # or + in a name; topics match exactly, and MQTT refuses
	// to subscribe to a name with # or +.
	HazardWildcard Hazard = iota + 1
	// HazardComma: the name is split on event streams (Quirk Q36).
	HazardComma
	// HazardSemicolon: the name is cut on event streams, and cannot be stored (Q36).
	HazardSemicolon
	// HazardColon: a durable stream cannot be resumed by id (Q36).
	HazardColon
	// HazardSpace: a space at either end is trimmed on event streams.
	HazardSpace
	// HazardControl: an event stream on the name fails.
	HazardControl
	// HazardNonASCII: durable streams break off (Q37).
	HazardNonASCII
	// HazardStore: no message of the topic can be stored, and durable streams fail.
	HazardStore
)

// String explains the hazard in one clause, to stand behind the topic's name.
func (h Hazard) String() string {
	switch h {
	case HazardWildcard:
		return "holds *, # or +, which are not wildcards: topics match exactly"
	case HazardComma:
		return "holds a comma: an event stream splits the name there and misses its live messages"
	case HazardSemicolon:
		return "holds a semicolon: an event stream listens on the part before it"
	case HazardColon:
		return "holds a colon: a durable stream cannot resume from its event ids"
	case HazardSpace:
		return "begins or ends with a space: an event stream listens on the name without it"
	case HazardControl:
		return "holds a control character: an event stream on it fails"
	case HazardNonASCII:
		return "holds a character outside ASCII: durable streams on it break off"
	case HazardStore:
		return "cannot be a store key: retained messages and durable streams fail"
	}
	return "has an unknown hazard"
}

// Hazards lists what is hazardous about the topic's name, nil for nearly every
// topic. The order is fixed, and each hazard appears once.
func (t Topic) Hazards() []Hazard {
	name, found := string(t), []Hazard(nil)
	add := func(present bool, h Hazard) {
		if present {
			found = append(found, h)
		}
	}
	add(strings.ContainsAny(name, "*#+"), HazardWildcard)
	add(strings.Contains(name, ","), HazardComma)
	add(strings.Contains(name, ";"), HazardSemicolon)
	add(strings.Contains(name, ":"), HazardColon)
	add(strings.Trim(name, " ") != name, HazardSpace)
	add(strings.IndexFunc(name, isControl) >= 0, HazardControl)
	add(strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0, HazardNonASCII)
	add(!LegalKey("r:"+name), HazardStore)
	return found
}

func isControl(r rune) bool { return r < ' ' || r == 0x7F }
