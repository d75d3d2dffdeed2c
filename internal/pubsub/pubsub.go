// Package pubsub holds the words every other package shares: topics, versions
// of stored messages, the rights a credential grants, and the limits of the
// Pub/Sub app.
//
// It promises exact comparisons (a topic is its bytes, nothing is folded or
// normalised) and the app's own text forms. It does no I/O, keeps no state and
// imports the standard library only.
package pubsub

import (
	"slices"
	"time"
)

// Limits of the app that every client and server of this project keeps.
const (
	// MaxPayload is the largest message body in bytes.
	MaxPayload = 32512
	// MaxStreamTopics is the most distinct topics one event stream may name (Quirk Q8).
	MaxStreamTopics = 9
	// Grace is how long a token is accepted after its exp, before its nbf and
	// before its iat (Quirk Q12).
	Grace = 15 * time.Minute
	// Linger is how long a stored message's sequence outlives its expiry, so
	// that a reader can tell "nothing new" from "started again".
	Linger = 24 * time.Hour
)

// Topic names a stream of messages. Two topics are the same only if their
// bytes are; there are no wildcards.
type Topic string

// Live is the Fanout channel that carries a topic's live content.
func (t Topic) Live() string { return "s:" + string(t) }

// Durable is the Fanout channel that tells a topic's durable readers to look
// into the store again.
func (t Topic) Durable() string { return "d:" + string(t) }

// Grant is what a verified credential allows.
type Grant struct {
	// Admin allows every topic for reading and writing (a valid Fastly-Key).
	Admin bool
	// Read and Write list the allowed topics, compared byte for byte.
	Read, Write []string
}

// CanRead reports whether the grant allows subscribing to t.
func (g Grant) CanRead(t Topic) bool { return g.Admin || slices.Contains(g.Read, string(t)) }

// CanWrite reports whether the grant allows publishing to t.
func (g Grant) CanWrite(t Topic) bool { return g.Admin || slices.Contains(g.Write, string(t)) }
