package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/sse"
)

// What the engine is told about every stream.
const (
	keepAlive = 55 * time.Second
	refetch   = 120 * time.Second
	nextURI   = "/events?durable=true"
)

// none is the prev-id of a topic of which the reader has seen nothing stored.
const none = "none"

// stream is one event stream: what it is about and what its reader has.
type stream struct {
	topics  []pubsub.Topic // distinct, ascending
	seen    pubsub.Position
	durable bool
}

// openStream answers GET /events: an event stream to hold, or one that consists
// of a single stream-error event.
func (a *App) openStream(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	s, no := a.admit(ctx, r)
	if no != nil {
		return a.refuseStream(ctx, r, s.topics, no), nil
	}
	body := append(make([]byte, 0, 256), sse.OpenEvent...)
	resp, err := a.hold(ctx, r, s, body)
	if err == nil && resp.Instruct != nil {
		a.logSubscribed(ctx, r, s)
	}
	return resp, err
}

// followUp answers the engine's question what is new for a held durable stream.
// The stream was allowed when it was opened and is not judged again (Quirk
// Q34); its topics and versions are those of its channels.
func (a *App) followUp(ctx context.Context, r *fanout.Request) (*fanout.Response, error) {
	s, no := resumed(r.Last)
	if no != nil {
		return a.refuseStream(ctx, r, s.topics, no), nil
	}
	return a.hold(ctx, r, s, nil)
}

// hold reads what is new for the stream, appends it to body and tells the
// engine to hold, or to go on holding.
func (a *App) hold(ctx context.Context, r *fanout.Request, s *stream, body []byte) (*fanout.Response, error) {
	if s.durable {
		var no *refusal
		if body, no = a.replay(ctx, s, body); no != nil {
			return a.refuseStream(ctx, r, s.topics, no), nil
		}
	}
	if no := s.illegalName(); no != nil {
		return a.refuseStream(ctx, r, s.topics, no), nil
	}
	channels, err := s.channels()
	if err != nil {
		return nil, err
	}
	in := &grip.Instruct{
		Hold:      grip.Stream,
		Channels:  channels,
		KeepAlive: grip.KeepAlive{Data: a.alive, Timeout: keepAlive},
	}
	if s.durable {
		in.Next = grip.Link{URI: nextURI, Timeout: refetch}
	}
	return &fanout.Response{Status: http.StatusOK, Header: a.events, Body: body, Instruct: in}, nil
}

// admit makes the checks of section 4.3 that come before storage is read. The
// stream is not nil even if it is refused: the log wants its topics.
func (a *App) admit(ctx context.Context, r *fanout.Request) (*stream, *refusal) {
	query := pubsub.NormalizeQuery(r.RawQuery)
	s := &stream{topics: pubsub.QueryTopics(query)}
	if len(s.topics) == 0 {
		return s, badRequest("Missing 'topic' parameter", "no topic parameter")
	}
	if len(s.topics) > pubsub.MaxStreamTopics { // Quirk Q8
		return s, badRequest("Too many topics", "more than nine distinct topics")
	}
	durable, _ := pubsub.RawParam(query, "durable") // Quirk Q7: nothing but the four bytes will do
	s.durable = durable == "true"
	var no *refusal
	if s.seen, no = position(r.Header, query); no != nil {
		return s, no
	}
	return s, a.maySubscribe(ctx, r, query, s)
}

// position reads the resume id: the parameter, or else the header. It is judged
// even if the stream is not durable (Quirk Q10).
func position(h http.Header, query string) (pubsub.Position, *refusal) {
	id, ok := pubsub.RawParam(query, "lastEventId")
	if header := h["Last-Event-Id"]; !ok && len(header) > 0 {
		id, ok = header[0], true
		if !visible(id) {
			// Quirk Q37: the id of a stream on such a topic is such a header.
			return nil, crashed("the Last-Event-ID header has a byte outside visible ASCII")
		}
	}
	if !ok {
		return nil, nil
	}
	p, err := pubsub.ParsePosition(id)
	var bad *pubsub.PositionError
	if errors.As(err, &bad) {
		return nil, badRequest(bad.Text(), "the resume id has a part that is not topic:version")
	}
	return p, nil
}

// maySubscribe checks the credential. A Fastly-Key comes first, then the auth
// parameter, even if it is empty, then the Authorization header.
func (a *App) maySubscribe(ctx context.Context, r *fanout.Request, query string, s *stream) *refusal {
	if a.admin(r.Header) {
		return nil
	}
	tok, ok := pubsub.RawParam(query, "auth")
	if !ok {
		var no *refusal
		if tok, no = bearer(r.Header, "Missing 'Authorization' header or 'auth' parameter"); no != nil {
			return no
		}
	}
	g, no := a.verify(ctx, r, tok, time.Now())
	if no != nil {
		return no
	}
	for _, t := range s.topics { // Quirk Q48 is not imitated: the first in order is named
		if !g.CanRead(t) {
			return forbidden("Cannot subscribe to topic: "+string(t), "topic "+quoted(t)+" is not in x-fastly-read")
		}
	}
	return nil
}

// replay appends an event for each topic whose stored message the reader does
// not have, and advances what the reader has. An event's id covers the topics
// before it and what the reader had of those behind it.
func (a *App) replay(ctx context.Context, s *stream, body []byte) ([]byte, *refusal) {
	if s.seen == nil {
		s.seen = make(pubsub.Position, len(s.topics))
	}
	var id []byte
	for _, t := range s.topics {
		slot, err := a.messages.Get(ctx, t, s.seen[t])
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrNotNewer) || errors.Is(err, store.ErrMissing) {
			continue
		}
		if err != nil {
			return nil, failed("Failed to read message from storage", "the stored message of topic "+quoted(t)+" could not be read", err)
		}
		s.seen[t] = slot.Version
		if slot.Entry != nil {
			id = pubsub.AppendID(id[:0], s.topics, s.seen)
			body = sse.AppendMessage(body, slot.Entry.Data, id)
		}
	}
	return body, nil
}

// refuseStream renders a refusal as a reader sees it: a stream that succeeds,
// says what is wrong and ends (Quirk Q9).
func (a *App) refuseStream(ctx context.Context, r *fanout.Request, topics []pubsub.Topic, no *refusal) *fanout.Response {
	a.logRefused(ctx, r, topics, no.condition(), no)
	if no.status == 0 {
		return platformError()
	}
	body := sse.AppendStreamError(nil, no.condition(), no.text)
	return &fanout.Response{Status: http.StatusOK, Header: a.events, Body: body}
}
