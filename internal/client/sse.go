package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/sse"
)

const (
	opSubscribe = "subscribe"
	// maxEvent bounds one event in memory, name and data and the line being
	// read. The largest the app can send is a full payload in base64 beside a
	// long id; the rest is slack for other limits of later versions.
	maxEvent = 4 * pubsub.MaxPayload
)

// SSE returns the transport that follows topics, at most
// pubsub.MaxStreamTopics of them, over the service's event stream. A message
// names its topic only if there is just one.
func (c *Client) SSE() Transport { return eventStreams{c} }

type eventStreams struct{ client *Client }

func (eventStreams) Name() string { return "sse" }

// Open sends GET /events and waits for stream-open.
func (t eventStreams) Open(ctx context.Context, r Request) (Stream, error) {
	if n := len(r.Topics); n > pubsub.MaxStreamTopics {
		err := fmt.Errorf("%d topics asked for, the most is %d", n, pubsub.MaxStreamTopics)
		return nil, &Error{Op: opSubscribe, Category: CategoryUsage, Reason: "too_many_topics", Err: err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(t.client.timeout(), func() { cancel(errTimeout) })
	defer late.Stop()
	body, err := t.get(ctx, r)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	s := newEventStream(ctx, cancel, body, r)
	if t.client.debugs(ctx) {
		s.log = t.client.Log
	}
	if err := s.awaitOpen(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// get sends the request and returns the body of an event stream.
func (t eventStreams) get(ctx context.Context, r Request) (io.ReadCloser, error) {
	hr, err := t.client.request(ctx, opSubscribe, http.MethodGet, "/events", streamQuery(r), nil)
	if err != nil {
		return nil, err
	}
	hr.Header.Set("Accept", "text/event-stream")
	hr.Header.Set("Cache-Control", "no-cache")
	if r.LastID != "" {
		hr.Header.Set("Last-Event-ID", r.LastID)
	}
	resp, err := t.client.do(hr)
	if err != nil {
		return nil, broken(ctx, opSubscribe, err)
	}
	if err := checkStream(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// streamQuery writes the query; GET reads the topics with form decoding, so
// unlike those of a publish they are encoded.
func streamQuery(r Request) string {
	q := url.Values{}
	for _, t := range r.Topics {
		q.Add("topic", string(t))
	}
	if r.Durable {
		q.Set("durable", "true")
	}
	return q.Encode()
}

// checkStream reports why an answer is no event stream of the app.
func checkStream(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || !fromApp(resp.Header) {
		return refused(opSubscribe, resp)
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/event-stream" {
		return &Error{Op: opSubscribe, Category: CategoryAPI, Reason: "protocol", Status: resp.StatusCode, Err: errNotStream}
	}
	return nil
}

// eventStream is one open event stream; all of it is owned by its reader.
type eventStream struct {
	ctx    context.Context // the connection's; its cause says who ended it
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	watch  *watch
	events *sse.Reader
	topic  pubsub.Topic // of every message, if known
	log    *slog.Logger // nil unless each event is to be logged
}

func newEventStream(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, r Request) *eventStream {
	w := newWatch(body, r.Silence, func() { cancel(ErrSilent) })
	s := &eventStream{ctx: ctx, cancel: cancel, body: body, watch: w, events: sse.NewReader(w, maxEvent)}
	if len(r.Topics) == 1 {
		s.topic = r.Topics[0]
	}
	return s
}

// awaitOpen reads the first event, which decides about the request.
func (s *eventStream) awaitOpen() error {
	ev, err := s.next()
	switch {
	case err != nil:
		return s.broken(err)
	case ev.Name == sse.StreamOpen:
		return nil
	case ev.Name == sse.StreamError:
		return streamError(ev.Data)
	}
	return &Error{Op: opSubscribe, Category: CategoryAPI, Reason: "protocol", Status: http.StatusOK, Err: errNoOpen}
}

// Next skips what is not a message: keep-alives and events of later versions
// of the app.
func (s *eventStream) Next() (Message, error) {
	for {
		ev, err := s.next()
		if err != nil {
			return Message{}, s.broken(err)
		}
		switch ev.Name {
		case sse.Message, sse.MessageB64:
			return s.message(ev)
		case sse.StreamError:
			return Message{}, streamError(ev.Data)
		}
	}
}

// next reads one event and logs it, without what it says.
func (s *eventStream) next() (sse.Event, error) {
	ev, err := s.events.Next()
	if s.log != nil && err == nil {
		s.log.LogAttrs(s.ctx, slog.LevelDebug, "event received", slog.String("topic", string(s.topic)), slog.String("cause", ev.Name), slog.Int("bytes", len(ev.Data)))
	}
	return ev, err
}

func (s *eventStream) message(ev sse.Event) (Message, error) {
	data, err := sse.DecodeMessage(ev)
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	m := Message{Topic: s.topic, Name: ev.Name, Data: data}
	if ev.HasID {
		m.ID, m.Retained = ev.ID, true
	}
	return m, nil
}

func (s *eventStream) broken(err error) error {
	var large *sse.TooLargeError
	if errors.As(err, &large) {
		return &Error{Op: opSubscribe, Category: CategoryAPI, Reason: "protocol", Status: http.StatusOK, Retryable: true, Err: err}
	}
	return broken(s.ctx, opSubscribe, err)
}

// Close ends the request; a reader in Next returns.
func (s *eventStream) Close() error {
	s.watch.stop()
	s.cancel(nil)
	if err := s.body.Close(); err != nil {
		return fmt.Errorf("close stream: %w", err)
	}
	return nil
}

// streamError reads the JSON of a stream-error event, whose two members come
// in any order.
func streamError(data []byte) error {
	var said struct{ Condition, Text string }
	if err := json.Unmarshal(data, &said); err != nil {
		return refusedByEvent(opSubscribe, "bad-request", string(data))
	}
	return refusedByEvent(opSubscribe, said.Condition, said.Text)
}

// watch ends a connection that sends nothing: it arms a timer for the length
// of each read, so a slow consumer is never mistaken for a silent service.
type watch struct {
	r     io.Reader
	limit time.Duration
	timer *time.Timer
}

func newWatch(r io.Reader, limit time.Duration, expired func()) *watch {
	t := time.AfterFunc(limit, expired)
	t.Stop()
	return &watch{r: r, limit: limit, timer: t}
}

// Read reads from the connection under the limit. Any byte counts as a sign of
// life, comments included.
func (w *watch) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	n, err := w.r.Read(p)
	w.timer.Stop()
	return n, err
}

func (w *watch) stop() { w.timer.Stop() }
