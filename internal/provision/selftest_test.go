package provision

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// halfApp is an app that begins to publish at the second message and knows no MQTT.
// It answers without a network, so that it fits into a bubble.
type halfApp struct {
	mu    sync.Mutex // guards the following
	posts int
	feed  *io.PipeWriter
}

func (a *halfApp) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Max-Age": {"86400"}}
	answer := func(status int, body io.ReadCloser) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: h, Body: body, Request: r}, nil
	}
	text := func(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
	switch {
	case r.URL.Path == "/mqtt":
		return answer(http.StatusNotFound, text("Not Found"))
	case r.Method == http.MethodGet:
		h.Set("Content-Type", "text/event-stream")
		out, in := io.Pipe()
		a.feed = in
		context.AfterFunc(r.Context(), func() { _ = in.CloseWithError(r.Context().Err()) })
		go func() { _, _ = io.WriteString(in, "event: stream-open\ndata:\n\n") }() // ends with the pipe
		return answer(http.StatusOK, out)
	}
	if a.posts++; a.posts == 1 {
		return answer(http.StatusInternalServerError, text("Publish process failed.\n"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	feed := a.feed
	go func() { _, _ = io.WriteString(feed, "event: message\ndata: "+string(body)+"\n\n") }() // ends with the pipe
	return answer(http.StatusOK, text("Published\n"))
}

// TestSelfTestIsPatient: what may be over in a moment is tried again, a refusal is
// not, and the way that fails is named.
func TestSelfTestIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, began := &halfApp{}, time.Now()
		l := Look{URL: "http://app.example", HTTP: app, Timeout: time.Second, Now: time.Now,
			Sign: func(string) (string, error) { return "e30.e30.x", nil }}
		_, err := l.SelfTest(t.Context())
		failed, is := errors.AsType[*SelfTestError](err)
		if !is || failed.Way != "MQTT" || failed.Opened {
			t.Errorf("%v", err)
		}
		if app.posts != 2 || time.Since(began) != selfTestPause {
			t.Errorf("%d messages in %v", app.posts, time.Since(began))
		}
	})
}
