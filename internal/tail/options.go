package tail

import (
	"context"
	"io"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Bounds that are used where Options say nothing.
const (
	DefaultMessages = 10_000
	DefaultBytes    = 64 << 20
)

// Service is what a live view talks to. Its methods may be called from any
// goroutine.
type Service interface {
	// Follow runs one subscription with a credential for its topics, as
	// client.Subscribe does; fn is called from one goroutine.
	Follow(ctx context.Context, s Subscription, fn func(client.Event) error) error
	// Publish sends one message with a credential for its topic.
	Publish(ctx context.Context, topic pubsub.Topic, body []byte, o client.PublishOptions) (client.Published, error)
	// Scope says what the credential allows to write, before it is tried.
	Scope(topic pubsub.Topic) (text string, granted bool)
	// Explain makes a problem, with evidence and the next command, of an error.
	Explain(verb string, topics []pubsub.Topic, err error) ui.Problem
}

// Subscription is what Service.Follow is asked for.
type Subscription struct {
	Topics []pubsub.Topic
	// Transport is "sse" or "mqtt".
	Transport string
	Durable   bool
	// LastID resumes a durable stream; empty starts afresh.
	LastID string
}

// Options say what to show and where. The zero value of a bound is its default.
type Options struct {
	// Service is the other end. Required.
	Service Service
	// Topics are followed from the start; none is allowed.
	Topics []pubsub.Topic
	// Transport is "auto", "sse" or "mqtt"; auto is SSE for one topic, MQTT for
	// several, but SSE if Durable.
	Transport string
	Durable   bool
	// Messages and Bytes bound what is kept.
	Messages, Bytes int
	// Context and URL name the service in the header.
	Context, URL string
	// Protected asks before a message is sent again.
	Protected bool
	// Mouse takes the mouse; without it the terminal's own selection works.
	Mouse bool
	// Color and Glyphs are as in ui.Streams.
	Color, Glyphs bool
	// In and Out are the terminal.
	In  io.Reader
	Out io.Writer
	// Environ is the environment of the process, as NAME=VALUE.
	Environ []string
	// Dir is where exports go whose name has no directory.
	Dir string
	// Secrets are kept off the screen.
	Secrets *ui.Secrets
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// filled is o with defaults.
func (o Options) filled() Options {
	if o.Messages <= 0 {
		o.Messages = DefaultMessages
	}
	if o.Bytes <= 0 {
		o.Bytes = DefaultBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == "" {
		o.Transport = "auto"
	}
	return o
}
