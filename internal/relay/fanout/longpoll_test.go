package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// held is a request that waits with the engine, in a bubble.
type held struct {
	rec  *httptest.ResponseRecorder
	quit context.CancelFunc
	done chan time.Duration // how long it took
}

// request sends a request through the engine and waits until it is held or
// answered.
func (r *rig) request(method, target, body string) *held {
	ctx, quit := context.WithCancel(context.Background()) // not of the bubble's test, whose end is outside
	h := &held{rec: httptest.NewRecorder(), quit: quit, done: make(chan time.Duration, 1)}
	start := time.Now()
	req := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	go func() { // ends with the request
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
			h.done <- time.Since(start)
		}()
		r.s.ServeHTTP(h.rec, req)
	}()
	synctest.Wait()
	return h
}

// want waits for the answer and checks its status, body and seconds taken, to
// which each timer may add a tenth.
func (h *held) want(t *testing.T, status int, body string, seconds float64) {
	t.Helper()
	took := <-h.done
	if h.rec.Code != status || h.rec.Body.String() != body {
		t.Errorf("answered %d %q, want %d %q", h.rec.Code, h.rec.Body, status, body)
	}
	if got := took.Seconds(); got < seconds-0.001 || got > seconds+0.25 {
		t.Errorf("answered after %.3f s, want %.3f s", got, seconds)
	}
}

// poll is an answer that asks for a long-poll of channel c.
func longPoll(prev string) *Response {
	return &Response{
		Header:   http.Header{"Content-Type": {"text/plain"}, "X-Orig": {"1"}, "Cache-Control": {"no-store"}},
		Body:     []byte("nothing yet\n"),
		Instruct: &grip.Instruct{Hold: grip.Response, Channels: []grip.Channel{{Name: "c", PrevID: prev}}, Timeout: 20 * time.Second},
	}
}

func answerItem(body string) *grip.Item {
	return &grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Code: 200, Body: []byte(body)}}
}

// inPoll runs f with an origin that answers with a long-poll first and "answer n"
// later, unless f sets another.
func inPoll(t *testing.T, opt Options, f func(r *rig)) {
	t.Helper()
	inBubble(t, opt, func(r *rig) {
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			if n == 1 {
				return longPoll(""), nil
			}
			return &Response{Body: fmt.Appendf(nil, "answer %d", n)}, nil
		}
		f(r)
	})
}

// grip.md, 2.4 items 1 and 4.
func TestItemReleasesALongPoll(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		h := r.request("GET", "/lp", "")
		r.publish(send("c", "for streams"))
		settle(2 * time.Second)
		if h.rec.Body.Len() > 0 || h.rec.Flushed {
			t.Errorf("sent %q while it waits", h.rec.Body)
		}
		r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Code: 201, Body: []byte(`{"a":1}`), Header: [][2]string{
			{"x-pub", "p"}, {"Content-Type", "application/json"}, {"X-Pub", "q"},
			{"Content-Length", "99"}, {"Grip-Hold", "stream"}, {"X-Split", "a\r\nX-Evil: 1"}, {"Grip-Expose-Headers", "Cache-Control"},
		}}})
		h.want(t, 201, `{"a":1}`, 2)
		got, want := h.rec.Header(), http.Header{
			"X-Orig": {"1"}, "Content-Type": {"application/json"}, "X-Pub": {"p", "q"}, "Content-Length": {"7"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("header %v, want %v", got, want)
		}
		r.publish(answerItem("second")) // there is no memory between polls
		if s := r.e.Stats(); s.Streams != 0 || s.Delivered != 1 || s.Ended["finished"] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestLongPollTimesOutWithItsFirstAnswer(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		r.request("GET", "/lp", "").want(t, 200, "nothing yet\n", 20)
		r.o.answer = func(int, *Request) (*Response, error) {
			resp := longPoll("")
			resp.Instruct.Timeout = 0
			return resp, nil
		}
		r.request("GET", "/lp", "").want(t, 200, "nothing yet\n", 55)
		if n := len(r.o.log()); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Quirk Q53 for long-polls: the origin is asked again a second after a channel
// gained its first listener, and not when one has just left (grip.md, 2.7).
func TestQ53FirstLongPollIsAskedAgain(t *testing.T) {
	inPoll(t, Options{}, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) { return longPoll(""), nil }
		r.request("GET", "/lp", "").want(t, 200, "nothing yet\n", 21)
		r.request("GET", "/lp", "").want(t, 200, "nothing yet\n", 20)
		settle(lingerTime)
		h := r.request("GET", "/lp", "")
		settle(5 * time.Second)
		h.quit()
		<-h.done
		if n := len(r.o.log()); n != 5 {
			t.Errorf("asked %q, want two, one and two requests", r.o.log())
		}
	})
}

func TestHintAsksForALongPollAgain(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		h := r.request("POST", "/lp?q=1", "the body")
		var body []byte
		answer := r.o.answer
		r.o.answer = func(n int, q *Request) (*Response, error) {
			body, _ = io.ReadAll(q.Body)
			if q.RawQuery != "q=1" || q.Method != "POST" || q.Header == nil || q.FollowUp {
				t.Errorf("asked again with %+v", q)
			}
			return answer(n, q)
		}
		r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Action: grip.Close}}) // means nothing here
		r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Action: grip.Hint}})
		h.want(t, 200, "answer 2", 0)
		if string(body) != "the body" {
			t.Errorf("the body was %q the second time", body)
		}
	})
}

// grip.md, 2.11: an item that does not follow makes the origin tell what was missed.
func TestMismatchAsksForALongPollAgain(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		first := func(n int, _ *Request) (*Response, error) {
			if n%2 == 1 {
				return longPoll("5"), nil
			}
			return &Response{Body: fmt.Appendf(nil, "answer %d", n)}, nil
		}
		r.o.answer = first
		h := r.request("GET", "/lp", "")
		follows := answerItem("six")
		follows.ID, follows.PrevID = "6", "5"
		r.publish(follows)
		h.want(t, 200, "six", 0)

		r.o.answer = func(n int, q *Request) (*Response, error) { return first(n-1, q) }
		h = r.request("GET", "/lp", "") // the channel is at 6 already
		h.want(t, 200, "answer 2", 0)
		r.wantAsked("0.0 /lp", "0.0 /lp", "0.0 /lp c; last-id=5")

		r.o.answer = func(n int, q *Request) (*Response, error) { return first(n-3, q) }
		h = r.request("GET", "/lp", "")
		wrong := answerItem("nine")
		wrong.ID, wrong.PrevID = "9", "8"
		r.publish(wrong)
		h.want(t, 200, "answer 2", 0)
	})
}

func TestLargeRequestIsNotHeld(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, q *Request) (*Response, error) {
			if n == 1 {
				_, _ = io.Copy(io.Discard, q.Body)
			}
			return longPoll(""), nil
		}
		for range 2 { // read by the origin, and not
			h := r.request("POST", "/lp", strings.Repeat("x", maxKept+1))
			h.want(t, 400, "Request too large to accept GRIP instruct.\n", 0)
		}
		h := r.request("POST", "/lp", strings.Repeat("x", maxKept))
		r.publish(answerItem("held"))
		h.want(t, 200, "held", 0)
	})
}

func TestBodyPatchChangesTheHeldBody(t *testing.T) {
	patch := func(held, ops string) string {
		var body string
		inPoll(t, quietStart, func(r *rig) {
			r.o.answer = func(int, *Request) (*Response, error) {
				resp := longPoll("")
				resp.Body = []byte(held)
				return resp, nil
			}
			h := r.request("GET", "/lp", "")
			r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{BodyPatch: []byte(ops)}})
			<-h.done
			body = h.rec.Body.String()
		})
		return body
	}
	if got := patch("{\"a\":1}\n", `[{"op":"add","path":"/b","value":2}]`); got != "{\"a\":1,\"b\":2}\n" {
		t.Errorf("patched to %q", got)
	}
	if got := patch("text", `[{"op":"add","path":"/b","value":2}]`); got != "" {
		t.Errorf("a body that cannot be patched became %q", got)
	}
}

func TestFiltersKeepALongPollWaiting(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) {
			resp := longPoll("1")
			resp.Prefix = "p-"
			resp.Instruct.Channels[0].Filters = []string{grip.FilterSkipSelf, grip.FilterRequireSub, grip.FilterVarSubst}
			resp.Instruct.Meta = map[string]string{"user": "me"}
			return resp, nil
		}
		h := r.request("GET", "/lp", "")
		item := func(id, prev, body string, meta map[string]string) *grip.Item {
			it := answerItem(body)
			it.Channel, it.ID, it.PrevID, it.Meta = "p-c", id, prev, meta
			return it
		}
		r.publish(item("2", "1", "mine", map[string]string{"sender": "me"}))
		r.publish(item("3", "2", "not for c", map[string]string{"require_sub": "other"}))
		settle(0)
		r.publish(item("4", "3", "for %(user)s", map[string]string{"require_sub": "c"}))
		h.want(t, 200, "for me", 0)
	})
}

func TestLongPollTellsTheGoneLink(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, q *Request) (*Response, error) {
			if q.FollowUp {
				if q.Method != "POST" || q.Header != nil || q.RawQuery != "u=1" || q.Host != "example.com" {
					t.Errorf("gone link asked with %+v", q)
				}
				return &Response{Status: 500}, nil
			}
			resp := longPoll("")
			resp.Instruct.Gone = "/bye?u=1"
			return resp, nil
		}
		h := r.request("GET", "/lp", "")
		r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Action: grip.Hint}})
		settle(time.Second)
		r.publish(answerItem("done"))
		h.want(t, 200, "done", 1)
		synctest.Wait()
		r.wantAsked("0.0 /lp", "0.0 /bye", "0.0 /lp", "1.0 /bye")
		h = r.request("GET", "/lp", "")
		h.quit()
		<-h.done
		synctest.Wait()
		r.wantAsked("0.0 /lp", "0.0 /bye", "0.0 /lp", "1.0 /bye", "1.0 /lp", "1.0 /bye")
	})
}

func TestDrainAnswersLongPolls(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		h := r.request("GET", "/lp", "")
		if err := r.e.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		h.want(t, 200, "nothing yet\n", 0)
		r.request("GET", "/lp", "").want(t, 200, "answer 2", 0)
	})
}

func TestRecoverAsksEveryOrigin(t *testing.T) {
	inPoll(t, quietStart, func(r *rig) {
		h := r.request("GET", "/lp", "")
		p := r.open(durable("v0"))
		plain := r.open(&grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "x"}}})
		r.publish(sendID("d:t", "", "v0", "")) // so that there is an id to forget
		r.o.answer = func(n int, q *Request) (*Response, error) {
			return &Response{Body: fmt.Appendf(nil, "[%s]", q.Path), Instruct: map[bool]*grip.Instruct{true: durable("v1")}[q.FollowUp]}, nil
		}
		r.e.Recover()
		h.want(t, 200, "[/lp]", 0)
		settle(time.Second)
		r.want(p, "[open][/events]")
		r.want(plain, "[open]")
	})
}

// A code that no server can send, and one that allows no body.
func TestLongPollCodes(t *testing.T) {
	for code, want := range map[int]int{0: 200, 42: 500, 204: 204, 999: 999} {
		inPoll(t, quietStart, func(r *rig) {
			h := r.request("GET", "/lp", "")
			it := answerItem("x")
			it.HTTPResponse.Code = code
			r.publish(it)
			<-h.done
			if h.rec.Code != want {
				t.Errorf("code %d became %d, want %d", code, h.rec.Code, want)
			}
		})
	}
}

// Over real sockets: the connection goes on with the next poll.
func TestLongPollsShareAConnection(t *testing.T) {
	held := make(chan struct{}, 1)
	h := handlerFunc(func(context.Context, *Request) (*Response, error) {
		held <- struct{}{}
		return longPoll(""), nil
	})
	e, srv := serve(t, quietStart, h, plainText)
	c, in := exchange(t, srv, "GET /lp HTTP/1.1\r\nHost: h\r\n\r\n")
	for i := range 3 {
		<-held
		publishSoon(t, e, answerItem(fmt.Sprint("item ", i)))
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if !bytes.Equal(body, fmt.Append(nil, "item ", i)) {
			t.Errorf("poll %d got %q", i, body)
		}
		if _, err := io.WriteString(c, "GET /lp HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	<-held
}

// publishSoon publishes until somebody is there to get it: a hold begins soon,
// and nobody can tell when.
func publishSoon(t *testing.T, e *Engine, it *grip.Item) {
	t.Helper()
	for n := 0; n == 0; runtime.Gosched() {
		var err error
		if n, err = e.Publish(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
}

type handlerFunc func(context.Context, *Request) (*Response, error)

func (f handlerFunc) Request(ctx context.Context, r *Request) (*Response, error) { return f(ctx, r) }
