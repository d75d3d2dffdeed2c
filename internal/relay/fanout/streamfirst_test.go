package fanout

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// grip.md, 2.8: a first page that is not held goes on with the next one.
func TestFirstPageWithoutHoldIsContinued(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, q *Request) (*Response, error) {
			if n < 3 {
				return &Response{Body: fmt.Appendf(nil, "[%s]", q.Path), Instruct: &grip.Instruct{Next: grip.Link{URI: fmt.Sprint("/p", n+1)}}}, nil
			}
			return &Response{Body: []byte("[end]")}, nil
		}
		h := r.request("GET", "/p1", "")
		h.want(t, 200, "[/p1][/p2][end]", 0)
		r.wantAsked("0.0 /p1", "0.0 /p2", "0.0 /p3")
	})
}

func TestStreamTellsTheGoneLink(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(_ int, q *Request) (*Response, error) {
			if q.FollowUp {
				return nil, fmt.Errorf("not there")
			}
			return &Response{Body: []byte("hi"), Instruct: &grip.Instruct{
				Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}, Gone: "/bye",
			}}, nil
		}
		h := r.request("GET", "/s", "")
		settle(time.Second)
		r.publish(act("c", grip.Close))
		h.want(t, 200, "hi", 1)
		synctest.Wait() // until the link has been told
		h = r.request("GET", "/s", "")
		h.quit()
		<-h.done
		synctest.Wait()
		r.wantAsked("0.0 /s", "1.0 /bye", "1.0 /s", "1.0 /bye")
	})
}

// What a page without hold says of channels counts for the next one too.
func TestPagesWithoutHoldMoveTheIDs(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			in := durable(fmt.Sprint("v", n))
			if n == 1 {
				in.Hold = grip.None
			}
			return &Response{Body: fmt.Appendf(nil, "[%d]", n), Instruct: in}, nil
		}
		h := r.request("GET", "/p", "")
		settle(time.Second)
		r.publish(send("s:t", "live"), act("d:t", grip.Close))
		settle(time.Second)
		if err := r.e.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		h.want(t, 200, "[1][2]live[3]", 2)
		if asked := r.o.log(); len(asked) != 3 || asked[1] != "0.0 /events d:t; last-id=v1" {
			t.Errorf("asked %q", asked)
		}
	})
}

// The hub knows the names with their prefix, the origin those without.
func TestPrefixStaysInside(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		in := durable("v0")
		in.Channels[0].Filters = []string{grip.FilterRequireSub}
		r.o.answer = func(n int, q *Request) (*Response, error) {
			return &Response{Body: []byte("[page]"), Instruct: in, Prefix: "p-"}, nil
		}
		p := newTape()
		resp := &Response{Instruct: in, Prefix: "p-"}
		if _, err := r.s.join(&asked{at: time.Now()}, resp, p, formatRaw, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mine := send("p-s:t", "a")
		mine.Meta = map[string]string{"require_sub": "d:t"}
		r.publish(mine, send("s:t", "b"), act("p-d:t", grip.Hint))
		settle(time.Second)
		r.want(p, "a[page]")
		r.wantAsked("0.1 /events d:t; last-id=v0")
	})
}

func TestBuildIDInPages(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		in := durable("v0")
		in.Channels[0].Filters = []string{grip.FilterBuildID}
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			body := "id %(x)I 100%%"
			if n == 3 {
				body = "%I" // there is no id to render
			}
			return &Response{Body: []byte(body), Instruct: in}, nil
		}
		h := r.request("GET", "/events", "")
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		if err := r.e.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		h.want(t, 200, "id x 100%id x 100%", 2)
	})
}

// grip.md, 2.5 item 6: a long first body is sent as it comes, then the hold begins.
func TestLongFirstBodyIsSentBeforeTheHold(t *testing.T) {
	for _, opt := range []Options{{}, {Portable: true}} {
		rest, feed := io.Pipe()
		h := handlerFunc(func(_ context.Context, _ *Request) (*Response, error) {
			return &Response{
				Body: []byte("one "), Stream: rest, Header: http.Header{"X": {"y"}, "Content-Length": {"999"}},
				Instruct: &grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}},
			}, nil
		})
		e, srv := serve(t, opt, h, plainText)
		_, in := exchange(t, srv, "GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.ContentLength >= 0 || resp.Header.Get("X") != "y" {
			t.Fatalf("%+v, %v", resp, err)
		}
		body := bufio.NewReader(resp.Body)
		want := func(text string) {
			t.Helper()
			got := make([]byte, len(text))
			if _, err := io.ReadFull(body, got); err != nil || string(got) != text {
				t.Fatalf("got %q, %v; want %q", got, err, text)
			}
		}
		want("one ")
		_, _ = io.WriteString(feed, "two ")
		want("two ")
		_ = feed.Close()
		publishSoon(t, e, send("c", "three"))
		want("three")
	}
}

// A body that its origin cuts off must not look complete.
func TestCutBodyIsCutForTheClient(t *testing.T) {
	for _, hold := range []*grip.Instruct{nil, {Hold: grip.Stream, Channels: []grip.Channel{{Name: "c"}}}} {
		h := handlerFunc(func(context.Context, *Request) (*Response, error) {
			broken, feed := io.Pipe()
			go func() { // ends when the engine has read it
				_, _ = io.WriteString(feed, strings.Repeat("x", 100))
				_ = feed.CloseWithError(io.ErrUnexpectedEOF)
			}()
			return &Response{Stream: broken, Instruct: hold}, nil
		})
		_, srv := serve(t, quietStart, h, plainText)
		_, in := exchange(t, srv, "GET /s HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil || len(body) != 100 {
			t.Errorf("read %d bytes, %v; want 100 and an error", len(body), err)
		}
	}
}
