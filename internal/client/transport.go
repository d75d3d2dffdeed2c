package client

import (
	"context"
	"errors"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// Transport opens the connections of a subscription, one at a time. It knows
// nothing of reconnecting: Subscribe asks again when a Stream ends.
type Transport interface {
	// Name is the transport's word in records: "sse" or "mqtt".
	Name() string
	// Open returns once the service has confirmed the subscription, or fails
	// with an *Error. ctx ends the stream as well as the opening.
	Open(ctx context.Context, r Request) (Stream, error)
}

// Request is what one connection of a subscription asks for.
type Request struct {
	// Topics are distinct, sorted, and at least one.
	Topics []pubsub.Topic
	// Durable asks for stored messages too.
	Durable bool
	// LastID is the id to resume from, fit for the wire; empty starts afresh.
	LastID string
	// Silence is how long the service may send nothing before it is taken for dead.
	Silence time.Duration
}

// Stream is one open connection. Its methods belong to one goroutine.
type Stream interface {
	// Next waits for a message. An error that matches ErrUndecodable leaves the
	// stream usable; any other, an *Error or the context's cause, ends it.
	Next() (Message, error)
	// Close ends the connection and frees what it holds.
	Close() error
}

// ErrUndecodable is a message that arrived and cannot be read.
var ErrUndecodable = errors.New("a message could not be decoded")

// Message is one message as it arrived.
type Message struct {
	// Topic is empty if the transport did not name it.
	Topic pubsub.Topic
	// ID is the event id as sent; only stored messages have one.
	ID string
	// Name is the event's name on the wire, "message" or "message-base64"; over
	// MQTT it is always "message".
	Name string
	// Data is the payload, decoded. It is valid until the next message.
	Data []byte
	// Retained reports that the message came from storage, as far as the
	// transport tells: an event stream tells it by the id, MQTT by a flag.
	Retained bool
}
