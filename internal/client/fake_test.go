package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// service is a Pub/Sub service in memory: a round tripper that answers each
// request with the next step of a script. It fits into a synctest bubble.
type service struct {
	t     *testing.T
	mu    sync.Mutex // guards the following
	steps []step
	got   []*http.Request
}

// step answers one request. body runs on its own goroutine, which ends when it
// returns; the stream ends then, or when the request's context does.
type step struct {
	err     error
	status  int
	foreign bool // without the app's headers
	kind    string
	body    func(ctx context.Context, w io.Writer)
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r)
	if len(s.steps) == 0 {
		s.t.Errorf("unexpected request %s %s", r.Method, r.URL)
		return nil, errors.New("script is over")
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	if st.err != nil {
		return nil, st.err
	}
	return st.answer(r), nil
}

func (st step) answer(r *http.Request) *http.Response {
	h := http.Header{"Content-Type": {st.kind}}
	if !st.foreign {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Max-Age", "3600")
	}
	pr, pw := io.Pipe()
	stop := context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
	// Owned by the response: it ends with the script's body, whose writes fail
	// once the reader is gone.
	go func() {
		defer stop()
		st.body(r.Context(), pw)
		pw.Close()
	}()
	return &http.Response{StatusCode: st.status, Header: h, Body: pr, Request: r}
}

// requests are those received so far.
func (s *service) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// text answers with a plain text.
func text(status int, body string) step {
	return step{status: status, kind: "text/plain; charset=utf-8", body: func(_ context.Context, w io.Writer) { io.WriteString(w, body) }}
}

// stream answers with an event stream that ends after the given pieces.
func stream(pieces ...string) step {
	return step{status: 200, kind: "text/event-stream", body: func(_ context.Context, w io.Writer) {
		for _, p := range pieces {
			io.WriteString(w, p)
		}
	}}
}

// held is stream, but stays open until the client goes.
func held(pieces ...string) step {
	st := stream(pieces...)
	send := st.body
	st.body = func(ctx context.Context, w io.Writer) {
		send(ctx, w)
		<-ctx.Done()
	}
	return st
}

const opened = "event: stream-open\ndata: \n\n"

func message(data string) string { return "event: message\ndata: " + data + "\n\n" }

func stored(id, data string) string {
	return "event: message\nid: " + id + "\ndata: " + data + "\n\n"
}

func streamErrorEvent(condition, text string) string {
	return `event: stream-error` + "\n" + `data: {"text":"` + text + `","condition":"` + condition + `"}` + "\n\n"
}

func newService(t *testing.T, steps ...step) (*Client, *service) {
	s := &service{t: t, steps: steps}
	c := &Client{URL: "http://service.test", HTTP: s, Token: func(context.Context) (string, error) { return "tok", nil }}
	return c, s
}

var errEnough = errors.New("enough")

// follow subscribes until the service's script is over, or until the given
// number of messages arrived, and returns what happened as short lines.
func follow(t *testing.T, c *Client, o SubscribeOptions, messages int, topics ...pubsub.Topic) ([]string, error) {
	t.Helper()
	if topics == nil {
		topics = []pubsub.Topic{"chat"}
	}
	var lines []string
	err := c.Subscribe(t.Context(), topics, o, func(e Event) error {
		lines = append(lines, describe(e))
		if e.Kind == KindMessage {
			messages--
		}
		if messages == 0 {
			return errEnough
		}
		return nil
	})
	return lines, err
}

func describe(e Event) string {
	switch e.Kind {
	case KindMessage:
		return strings.TrimSpace("message " + string(e.Message.Data) + " " + e.Message.ID)
	case KindGap:
		return "gap " + e.Text
	}
	return e.Kind.String()
}
