package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/tail"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// liveService is what tail talks to: the service of a connection, each request
// with a token for its own topics, where tokens are signed here.
type liveService struct {
	// Static after construction.
	d    deps
	conn connection
	rt   http.RoundTripper

	mu      sync.Mutex // guards the following
	writers map[pubsub.Topic]*client.Client
}

// Follow runs one subscription.
func (s *liveService) Follow(ctx context.Context, sub tail.Subscription, fn func(client.Event) error) error {
	cl := s.d.client(s.conn, s.rt, need{read: names(sub.Topics)})
	transport := cl.SSE()
	if sub.Transport == "mqtt" {
		transport = cl.MQTT()
	}
	return cl.Subscribe(ctx, sub.Topics, client.SubscribeOptions{
		Transport: transport, Durable: sub.Durable, LastEventID: sub.LastID, Patient: true,
	}, fn)
}

// Publish sends one message.
func (s *liveService) Publish(ctx context.Context, topic pubsub.Topic, body []byte, o client.PublishOptions) (client.Published, error) {
	return s.writer(topic).Publish(ctx, topic, body, o)
}

// writer gives the client for a topic, whose token is signed once and used again.
func (s *liveService) writer(topic pubsub.Topic) *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writers[topic] == nil {
		if s.writers == nil || len(s.writers) >= 64 {
			s.writers = map[pubsub.Topic]*client.Client{}
		}
		s.writers[topic] = s.d.client(s.conn, s.rt, need{write: []string{string(topic)}})
	}
	return s.writers[topic]
}

// Scope reads the token that a publish would present.
func (s *liveService) Scope(topic pubsub.Topic) (text string, granted bool) {
	if s.conn.minted {
		return fmt.Sprintf("token: signed here with key %s, for writing %s only", s.conn.keyID, topic), true
	}
	tok, err := s.conn.token()
	if err != nil {
		return "token: " + err.Error(), false
	}
	r, err := token.Inspect(context.Background(), tok, nil, s.d.now())
	if err != nil {
		return "token: cannot be read", false
	}
	text = "token: grants write to " + topicList(r.Write)
	if r.Claim != "" {
		return "token: not accepted: " + r.Reason, false
	}
	if !(pubsub.Grant{Write: r.Write}).CanWrite(topic) {
		return text + ", not to " + quote(string(topic)), false
	}
	if !r.ExpiresAt.IsZero() {
		text += ", until " + ui.FormatTime(r.ExpiresAt)
	}
	return text, true
}

// Explain makes a problem of an error, as subscribe and publish do.
func (s *liveService) Explain(verb string, topics []pubsub.Topic, err error) ui.Problem {
	n := need{read: names(topics)}
	if verb == "publish" {
		n = need{write: names(topics)}
	}
	conn := s.conn
	conn.token = conn.tokenFor(n)
	err = asked{verb: verb, topics: names(topics), conn: conn}.problem(err)
	if p, ok := errors.AsType[ui.Problem](err); ok {
		return p
	}
	return ui.Problemf(ui.APIFailed, strings.TrimSpace(err.Error()))
}

func names(topics []pubsub.Topic) []string {
	out := make([]string, len(topics))
	for i, t := range topics {
		out[i] = string(t)
	}
	return out
}
