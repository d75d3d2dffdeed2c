package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// tape is a sink that keeps the raw content it is given, with times.
type tape struct {
	mu    sync.Mutex // guards the following
	start time.Time
	text  strings.Builder
	at    []time.Duration
	ended string
}

func newTape() *tape { return &tape{start: time.Now()} }

func (p *tape) Write(b []byte) (int, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	p.at = append(p.at, time.Since(p.start))
	return len(b), false, nil
}

func (p *tape) Finish() { p.end("finished") }
func (p *tape) Abort()  { p.end("aborted") }

func (p *tape) end(how string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = how
}

// origin is a Handler for follow-ups that tells when and with what it was asked.
type origin struct {
	start time.Time
	// answer makes the n-th answer; it may wait.
	answer func(n int, r *Request) (*Response, error)

	mu    sync.Mutex // guards the following
	asked []string   // "seconds path last…"
}

func (o *origin) Request(_ context.Context, r *Request) (*Response, error) {
	o.mu.Lock()
	line := fmt.Sprintf("%.1f %s", time.Since(o.start).Seconds(), r.Path)
	for _, l := range r.Last {
		line += " " + l.String()
	}
	o.asked = append(o.asked, line)
	n := len(o.asked)
	o.mu.Unlock()
	return o.answer(n, r)
}

func (o *origin) log() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked)
}

// durable is an instruction like the app's for a durable stream of one topic.
func durable(prev string) *grip.Instruct {
	return &grip.Instruct{
		Hold:     grip.Stream,
		Channels: []grip.Channel{{Name: "s:t"}, {Name: "d:t", PrevID: prev}},
		Next:     grip.Link{URI: "/events?durable=true", Timeout: 120 * time.Second},
		KeepAlive: grip.KeepAlive{
			Data: []byte("KA"), Timeout: 55 * time.Second,
		},
	}
}

type rig struct {
	t *testing.T
	e *Engine
	o *origin
	s *server
}

// inBubble runs f with an engine and an origin whose n-th answer is "page n" at
// version n, unless f sets another.
func inBubble(t *testing.T, opt Options, f func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		opt.Shards = 1
		o := &origin{start: time.Now()}
		o.answer = func(n int, _ *Request) (*Response, error) {
			return &Response{Body: fmt.Appendf(nil, "[page %d]", n), Instruct: durable(fmt.Sprint("v", n))}, nil
		}
		r := &rig{t: t, e: New(opt), o: o}
		r.s = r.e.server(o)
		f(r)
		if err := r.e.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func (r *rig) open(in *grip.Instruct) *tape {
	p := newTape()
	q := &asked{hints: r.e.hints.Load(), at: time.Now()}
	resp := &Response{Instruct: in, Body: []byte("[open]")}
	if _, err := r.s.join(q, resp, p, formatRaw, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return p
}

func (r *rig) publish(items ...*grip.Item) int {
	n, err := r.e.Publish(r.t.Context(), items...)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func send(channel, content string) *grip.Item {
	return &grip.Item{Channel: channel, HTTPStream: &grip.HTTPStream{Content: []byte(content)}}
}

func sendID(channel, content, id, prev string) *grip.Item {
	it := send(channel, content)
	it.ID, it.PrevID = id, prev
	return it
}

func act(channel string, a grip.Action) *grip.Item {
	return &grip.Item{Channel: channel, HTTPStream: &grip.HTTPStream{Action: a}}
}

// settle lets d pass and waits until nothing moves.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) want(p *tape, text string) {
	r.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := p.text.String(); got != text {
		r.t.Errorf("stream has %q, want %q", got, text)
	}
}

func (r *rig) wantAsked(lines ...string) {
	r.t.Helper()
	if got := r.o.log(); !slices.Equal(got, lines) {
		r.t.Errorf("origin was asked %q, want %q", got, lines)
	}
}

var quietStart = Options{NoFirstUpdate: true}

func TestLiveContentIsWrittenAtOnce(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(durable("v0"))
		if n := r.publish(send("s:t", "a"), send("s:t", "b"), send("s:other", "c")); n != 2 {
			t.Errorf("handed to %d", n)
		}
		synctest.Wait()
		r.want(p, "[open]ab")
	})
}

func TestHintMakesTheStreamAskInTheNextStep(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		synctest.Wait()
		r.want(p, "[open]")
		settle(110 * time.Millisecond)
		r.want(p, "[open][page 1]")
		r.wantAsked("0.1 /events d:t; last-id=v0")
	})
}

func TestHintsOfOneStepShareAFollowUp(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p, q := r.open(durable("v0")), r.open(durable("v0"))
		for range 10 {
			r.publish(act("d:t", grip.Hint))
		}
		settle(time.Second)
		r.want(p, "[open][page 1]")
		r.want(q, "[open][page 1]")
		r.wantAsked("0.1 /events d:t; last-id=v0")
	})
}

// grip.md 2.11: what comes while a stream waits or asks goes behind the page.
func TestLiveContentWaitsForThePage(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		release := make(chan struct{})
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			<-release
			return &Response{Body: []byte("[page]"), Instruct: durable("v1")}, nil
		}
		p := r.open(durable("v0"))
		r.publish(send("s:t", "a"), act("d:t", grip.Hint), send("s:t", "b"))
		settle(time.Second)
		r.publish(send("s:t", "c"))
		synctest.Wait()
		r.want(p, "[open]a")
		close(release)
		settle(0)
		r.want(p, "[open]a[page]bc")
		r.publish(send("s:t", "d"))
		settle(0)
		r.want(p, "[open]a[page]bcd")
	})
}

// Quirk Q46 is not reproduced: a hint during a follow-up leads to one more.
func TestQ46HintDuringAFollowUpIsRemembered(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		release := make(chan struct{})
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			if n == 1 {
				<-release
			}
			return &Response{Body: fmt.Appendf(nil, "[page %d]", n), Instruct: durable(fmt.Sprint("v", n))}, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		r.publish(send("s:t", "a"), act("d:t", grip.Hint), act("d:t", grip.Hint), send("s:t", "b"))
		synctest.Wait()
		close(release)
		settle(time.Second)
		r.want(p, "[open][page 1]a[page 2]b")
		r.wantAsked("0.1 /events d:t; last-id=v0", "1.1 /events d:t; last-id=v1")
	})
}

// A hint between the origin's answer and the join must not be lost either.
func TestHintWhileTheOriginWasBeingAsked(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		q := &asked{hints: r.e.hints.Load(), at: time.Now()}
		r.publish(act("d:t", grip.Hint)) // nobody listens yet
		p := newTape()
		if _, err := r.s.join(q, &Response{Instruct: durable("v0")}, p, formatRaw, nil); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		r.want(p, "[page 1]")
	})
}

// Quirk Q53: the first listener of a channel reads again after about a second.
func TestQ53FirstListenerIsReadAgain(t *testing.T) {
	inBubble(t, Options{}, func(r *rig) {
		r.open(durable("v0"))
		settle(500 * time.Millisecond)
		r.open(durable("v0")) // not the first
		settle(5 * time.Second)
		r.wantAsked("1.1 /events d:t; last-id=v0")
	})
}

func TestLinkIsFetchedForWantOfActivity(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) { return &Response{Instruct: durable("v0")}, nil }
		p := r.open(durable("v0"))
		settle(50 * time.Second)
		r.publish(send("s:t", "x")) // activity on one of two channels is not enough
		settle(200 * time.Second)
		r.wantAsked("120.1 /events d:t; last-id=v0", "240.2 /events d:t; last-id=v0")
		// Empty pages write nothing and leave the keep-alive's time alone.
		r.want(p, "[open]xKAKAKA")
	})
}

func TestActivityOnEveryChannelPutsTheLinkOff(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		in := durable("")
		in.Next.Timeout = 3 * time.Second
		r.o.answer = func(int, *Request) (*Response, error) { return &Response{Instruct: in}, nil }
		r.open(in)
		settle(800 * time.Millisecond)
		r.publish(send("s:t", "x"), send("d:t", "y"))
		settle(5 * time.Second)
		r.wantAsked()
		settle(time.Second)
		r.wantAsked("6.2 /events")
	})
}

func TestFailedFollowUpIsRetried(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, _ *Request) (*Response, error) {
			switch n {
			case 1:
				return nil, errors.New("connection refused")
			case 2:
				return &Response{Status: 503}, nil
			}
			return &Response{Body: []byte("[page]"), Instruct: durable("v1")}, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(200 * time.Millisecond)
		r.publish(send("s:t", "a")) // waits behind the page
		settle(10 * time.Second)
		r.want(p, "[open][page]a")
		if n := len(r.o.log()); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestStreamEndsWhenFollowUpsKeepFailing(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) { return &Response{Status: 500}, nil }
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Minute)
		if n := len(r.o.log()); n != 6 || p.ended != "finished" || r.e.Stats().Ended["origin"] != 1 {
			t.Errorf("asked %d times, stream %q, ended %v", n, p.ended, r.e.Stats().Ended)
		}
	})
}

func TestPageWithoutHoldEndsTheStream(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) { return &Response{Body: []byte("bye")}, nil }
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		r.want(p, "[open]bye")
		if p.ended != "finished" {
			t.Errorf("stream %q", p.ended)
		}
	})
}

// A page may hold the stream without naming a next one: then there is nothing to
// ask for any more, whatever comes, unless ids would need it.
func TestPageThatHoldsWithoutANextLink(t *testing.T) {
	plain := &grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "s:t"}, {Name: "new"}}}
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) {
			r.e.hints.Add(1) // somebody elsewhere publishes a hint
			return &Response{Body: []byte("[last]"), Instruct: plain}, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Hour)
		r.publish(send("new", "a"), act("new", grip.Hint), send("s:t", "b"))
		settle(time.Hour)
		r.want(p, "[open][last]ab")
		r.wantAsked("0.1 /events d:t; last-id=v0")
	})
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(int, *Request) (*Response, error) {
			in := *plain
			in.Channels = []grip.Channel{{Name: "s:t", PrevID: "5"}}
			return &Response{Body: []byte("[last]"), Instruct: &in}, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		if r.want(p, "[open][last]"); p.ended != "finished" {
			t.Errorf("stream %q", p.ended)
		}
	})
}

func TestPagesWithoutHoldAreChained(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		r.o.answer = func(n int, q *Request) (*Response, error) {
			resp := &Response{Body: fmt.Appendf(nil, "[%s]", q.Path), Stream: io.NopCloser(strings.NewReader("+"))}
			if n < 3 {
				resp.Instruct = &grip.Instruct{Next: grip.Link{URI: fmt.Sprint("/p", n+1)}}
			} else {
				resp.Instruct = durable("v9")
			}
			return resp, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		r.publish(send("s:t", "a"))
		settle(0)
		r.want(p, "[open][/events]+[/p2]+[/p3]+a")
	})
}

func TestCloseEndsPlainAndReliableStreams(t *testing.T) {
	inBubble(t, quietStart, func(r *rig) {
		p := r.open(&grip.Instruct{Hold: grip.Stream, Channels: []grip.Channel{{Name: "s:t"}}})
		q := r.open(durable("v0"))
		r.publish(send("s:t", "a"), act("s:t", grip.Close), send("s:t", "b"))
		settle(time.Second)
		r.want(p, "[open]a")
		r.want(q, "[open]a")
		if p.ended != "finished" || q.ended != "finished" {
			t.Errorf("%q %q", p.ended, q.ended)
		}
	})
}

func TestQueueBehindAFollowUpIsBounded(t *testing.T) {
	opt := quietStart
	opt.Backlog = 64 << 10
	inBubble(t, opt, func(r *rig) {
		release := make(chan struct{})
		r.o.answer = func(int, *Request) (*Response, error) {
			<-release
			return &Response{Instruct: durable("v1")}, nil
		}
		p := r.open(durable("v0"))
		r.publish(act("d:t", grip.Hint))
		settle(time.Second)
		for range 20 {
			r.publish(send("s:t", strings.Repeat("x", 8<<10)))
		}
		settle(0)
		if p.ended == "" || r.e.Stats().Ended["slow"] != 1 {
			t.Errorf("stream %q, ended %v", p.ended, r.e.Stats().Ended)
		}
		close(release)
		settle(0)
	})
}
