package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

var overMQTT = PublishOptions{MQTT: true}

func TestMQTTPublishWritesOnePacketPerFrame(t *testing.T) {
	for _, tc := range []struct {
		rule    string
		topic   pubsub.Topic
		options PublishOptions
		want    string
	}{
		{"live", "chat", PublishOptions{}, "PUBLISH chat hi qos=0 retain=false expires=false,0"},
		{"a topic that HTTP cannot name", "a b/#+%", PublishOptions{}, "PUBLISH a b/#+% hi qos=0 retain=false expires=false,0"},
		{"retained", "chat", PublishOptions{Retain: true}, "PUBLISH chat hi qos=0 retain=true expires=false,0"},
		{"retained for a while", "chat", PublishOptions{Retain: true, TTL: time.Minute}, "PUBLISH chat hi qos=0 retain=true expires=true,60"},
		{"cleared", "chat", PublishOptions{Retain: true, Clear: true}, "PUBLISH chat hi qos=0 retain=true expires=true,0"},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			b := &broker{tokens: true}
			c := newBroker(t, b, string(tc.topic))
			tc.options.MQTT = true
			if _, err := c.Publish(t.Context(), tc.topic, []byte("hi"), tc.options); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if want := []string{"handshake mqtt test/1", "CONNECT", tc.want, "PINGREQ", "DISCONNECT"}; !slices.Equal(b.heard, want) {
				t.Errorf("the service heard %q, want %q", b.heard, want)
			}
		})
	}
}

func TestMQTTPublishRefusesWhatTheAppWouldDrop(t *testing.T) {
	claims := func(o token.MintOptions) string {
		o.KeyID, o.Secret = "k", []byte("s")
		tok, err := token.Mint(o)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	now := time.Now()
	good := claims(token.MintOptions{Write: []string{"chat", "$sys", ""}})
	for _, tc := range []struct {
		rule, topic, token string
		size               int
		options            PublishOptions
		code               string
	}{
		{"no write grant", "news", good, 1, overMQTT, "auth.topic_not_granted"},
		{"read is not write", "chat", claims(token.MintOptions{Read: []string{"chat"}}), 1, overMQTT, "auth.topic_not_granted"},
		{"expired beyond the app's tolerance", "chat", claims(token.MintOptions{Write: []string{"chat"}, Expires: now.Add(-time.Hour)}), 1, overMQTT, "auth.invalid_token"},
		{"no token", "chat", "", 1, overMQTT, "auth.missing"},
		{"no JWT", "chat", "password", 1, overMQTT, "auth.invalid_token"},
		{"$ topic", "$sys", good, 1, overMQTT, "usage.bad_argument"},
		{"empty topic", "", good, 1, overMQTT, "usage.no_topic"},
		{"too large", "chat", good, pubsub.MaxPayload + 1, overMQTT, "usage.too_large"},
		{"odd time to live", "chat", good, 1, PublishOptions{MQTT: true, Retain: true, TTL: time.Millisecond}, "usage.ttl"},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			time.Sleep(time.Until(now)) // the bubble's clock begins in the past, and the tokens are of today
			b := &broker{}
			c := newBroker(t, b)
			c.Token = func(context.Context) (string, error) { return tc.token, nil }
			_, err := c.Publish(t.Context(), pubsub.Topic(tc.topic), make([]byte, tc.size), tc.options)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code() != tc.code || e.Sent {
				t.Errorf("err = %v, want %s", err, tc.code)
			}
			if got := b.lines("PUBLISH"); got != nil {
				t.Errorf("the service heard %q", got)
			}
		})
	}
}

// count gives the first n numbers as bodies.
func count(n int) Next {
	return func(_ context.Context, i int) ([]byte, error) {
		if i > n {
			return nil, io.EOF
		}
		return fmt.Append(nil, i), nil
	}
}

func TestMQTTBatchKeepsOrderOnOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tokens: true}
		c := newBroker(t, b, "chat")
		var reported []int
		err := c.PublishAll(t.Context(), "chat", count(3000), BatchOptions{Message: overMQTT}, func(s Sent) error {
			reported = append(reported, s.N)
			return s.Err
		})
		if err != nil || len(reported) != 3000 || !slices.IsSorted(reported) {
			t.Errorf("err = %v after %d reports", err, len(reported))
		}
		got := b.lines("PUBLISH")
		for i, line := range got {
			if want := fmt.Sprintf("PUBLISH chat %d qos=0 retain=false expires=false,0", i+1); line != want {
				t.Fatalf("message %d is %q, want %q", i, line, want)
			}
		}
		if n := len(b.lines("CONNECT")); n != 1 || len(got) != 3000 {
			t.Errorf("%d messages over %d connections, want 3000 over 1", len(got), n)
		}
	})
}

func TestMQTTPublishIsTimedByThePingBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{hook: func(_ *peer, r mqtt.Request) bool {
			time.Sleep(7 * time.Millisecond)
			return false
		}}
		p, err := newBroker(t, b, "chat").Publish(t.Context(), "chat", []byte("hi"), overMQTT)
		if err != nil || p.Took != 14*time.Millisecond {
			t.Errorf("took %v, err = %v; want the 7 ms of message and ping each, without those of CONNECT", p.Took, err)
		}
	})
}

func TestMQTTSlowInputKeepsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		tok := mint(t, "chat")
		c.Token = func(context.Context) (string, error) { return tok, nil }
		err := c.PublishAll(t.Context(), "chat", count(3), BatchOptions{Message: overMQTT, Every: 10 * time.Minute}, func(s Sent) error { return s.Err })
		if n := len(b.lines("CONNECT")); err != nil || n != 1 {
			t.Errorf("err = %v with %d connections, want one", err, n)
		}
		if n := len(b.lines("PINGREQ")); n < 20*60/45/2 {
			t.Errorf("%d pings in 20 minutes", n)
		}
	})
}

func TestMQTTBatchGetsAFreshTokenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tokens: true}
		c := newBroker(t, b, "chat")
		c.Token = Remember(func(context.Context) (string, error) { return mint(t, "chat"), nil }, 30*time.Minute)
		err := c.PublishAll(t.Context(), "chat", count(4), BatchOptions{Message: overMQTT, Every: 40 * time.Minute}, func(s Sent) error { return s.Err })
		if n := len(b.lines("CONNECT")); err != nil || n != 4 {
			t.Errorf("err = %v with %d connections, want a new one for each token", err, n)
		}
		tokens := map[string]bool{}
		for _, p := range b.peers {
			tokens[p.token] = true
		}
		if len(tokens) != 4 || len(b.lines("PUBLISH")) != 4 {
			t.Errorf("%d tokens for %d messages, want 4 and 4", len(tokens), len(b.lines("PUBLISH")))
		}
	})
}

func TestMQTTBatchEndsWithItsOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tokens: true}
		c := newBroker(t, b, "chat")
		tok := mint(t, "chat")
		c.Token = func(context.Context) (string, error) { return tok, nil }
		taken := 0
		err := c.PublishAll(t.Context(), "chat", count(4), BatchOptions{Message: overMQTT, Every: 40 * time.Minute}, func(s Sent) error {
			if s.Err == nil {
				taken++
			}
			return s.Err
		})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "auth.invalid_token" || taken != 2 {
			t.Errorf("err = %v after %d messages, want the third to be 5 minutes late", err, taken)
		}
	})
}

func TestMQTTBatchOutlivesAConnectionLostWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		next := func(_ context.Context, n int) ([]byte, error) {
			if n == 2 {
				b.peers[0].drop()
				synctest.Wait()
			}
			return count(2)(t.Context(), n)
		}
		err := c.PublishAll(t.Context(), "chat", next, BatchOptions{Message: overMQTT, Every: time.Second}, func(s Sent) error { return s.Err })
		if n := len(b.lines("CONNECT")); err != nil || n != 2 || len(b.lines("PUBLISH")) != 2 {
			t.Errorf("err = %v with %d connections and %q", err, n, b.lines("PUBLISH"))
		}
	})
}

func TestMQTTPublishFailures(t *testing.T) {
	onPublish := func(f func(*peer)) func(*peer, mqtt.Request) bool {
		return func(p *peer, r mqtt.Request) bool {
			if r.Type() == mqtt.TypePublish {
				f(p)
			}
			return r.Type() == mqtt.TypePublish
		}
	}
	ack := func(properties ...byte) func(*peer, mqtt.Request) bool {
		return func(p *peer, r mqtt.Request) bool {
			if r.Type() == mqtt.TypeConnect {
				p.out <- append([]byte{0x20, byte(3 + len(properties)), 0, 0, byte(len(properties))}, properties...)
			}
			return r.Type() == mqtt.TypeConnect
		}
	}
	retained := PublishOptions{MQTT: true, Retain: true}
	for _, tc := range []struct {
		rule    string
		hook    func(*peer, mqtt.Request) bool
		options PublishOptions
		code    string
	}{
		{"a farewell names its reason", onPublish(sends([]byte{0xe0, 1, 0x9b})), overMQTT, "api.bad_request"},
		{"a connection that breaks", onPublish((*peer).drop), overMQTT, "network.closed"},
		{"no answer to the ping", func(_ *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypePingreq }, overMQTT, "timeout.request"},
		{"nonsense", onPublish(sends([]byte{0xff, 0, 0})), overMQTT, "api.protocol"},
		{"a broker that retains nothing", ack(0x25, 0), retained, "api.bad_request"},
		{"a broker of small packets", ack(0x27, 0, 0, 0, 8), overMQTT, "usage.too_large"},
		{"a refused connection", func(p *peer, _ mqtt.Request) bool { p.out <- []byte{0x20, 3, 0, 0x87, 0}; return true }, overMQTT, "auth.refused"},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			c := newBroker(t, &broker{hook: tc.hook}, "chat")
			_, err := c.Publish(t.Context(), "chat", []byte("hi"), tc.options)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code() != tc.code || e.Op != "publish" {
				t.Errorf("err = %v, want %s", err, tc.code)
			}
		})
	}
}

func TestMQTTPublisherSeesAMissingPublishToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newBroker(t, &broker{mute: true}, "chat")
		var codes []string
		err := c.PublishAll(t.Context(), "chat", count(3), BatchOptions{Message: overMQTT, Every: time.Second}, func(s Sent) error {
			e, _ := errors.AsType[*Error](s.Err)
			codes = append(codes, e.Code())
			return nil
		})
		if err != nil || strings.Join(codes, " ") != "api.publish_failed api.publish_failed api.publish_failed" {
			t.Errorf("codes %q, err = %v; want each echo to be noticed", codes, err)
		}
	})
}

func TestMQTTBatchEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{hook: func(_ *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypePingreq }}
		ctx, stop := context.WithCancelCause(t.Context())
		over := errors.New("over")
		time.AfterFunc(time.Second, func() { stop(over) })
		err := newBroker(t, b, "chat").PublishAll(ctx, "chat", count(1<<20), BatchOptions{Message: overMQTT}, func(Sent) error { return nil })
		if !errors.Is(err, over) {
			t.Errorf("err = %v, want the cause", err)
		}
	})
}

func TestMQTTBatchIsBoundedByWhatIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{hook: func(_ *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypePingreq }}
		c := newBroker(t, b, "chat")
		err := c.PublishAll(t.Context(), "chat", count(1<<20), BatchOptions{Message: overMQTT, Parallel: 100}, func(s Sent) error { return s.Err })
		// In flight, one more in the writer's hand, and one that no longer fits.
		if n := len(b.lines("PUBLISH")); err == nil || n < 100 || n > 100+2 {
			t.Errorf("%d messages on their way, err = %v; want 100 to await their answer", n, err)
		}
	})
}

func TestMQTTConfirm(t *testing.T) {
	retained := PublishOptions{MQTT: true, Retain: true}
	for _, tc := range []struct {
		rule    string
		broker  *broker
		options PublishOptions
		body    string
		err     error
	}{
		{"it comes back on another connection", &broker{tokens: true}, overMQTT, "hi", nil},
		{"a retained one too", &broker{tokens: true}, retained, "hi", nil},
		{"to its sender alone", &broker{tokens: true, mute: true}, overMQTT, "hi", ErrEchoOnly},
		{"a retained one to nobody", &broker{mute: true}, retained, "hi", ErrNoEcho},
		{"what was stored before is no echo", &broker{mute: true}, retained, "stored before", ErrNoEcho},
		{"not at all", &broker{hook: func(_ *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypePublish }}, overMQTT, "hi", ErrNoEcho},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			c := newBroker(t, tc.broker, "chat")
			tc.broker.stored["chat"] = "stored before"
			_, err := c.PublishConfirmed(t.Context(), "chat", []byte(tc.body), tc.options, 5*time.Second)
			if !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Errorf("err = %v, want %v", err, tc.err)
			}
			ids := map[string]bool{}
			for _, p := range tc.broker.peers {
				ids[p.id] = true
			}
			if len(ids) != 2 {
				t.Errorf("%d connections, want one to send and one to listen", len(ids))
			}
		})
	}
}

func TestMQTTConfirmIsTimedFromTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{hook: func(_ *peer, r mqtt.Request) bool {
			time.Sleep(10 * time.Millisecond)
			return false
		}}
		got, err := newBroker(t, b, "chat").PublishConfirmed(t.Context(), "chat", []byte("hi"), overMQTT, time.Second)
		if err != nil || got.Echo != 10*time.Millisecond || got.Took != 20*time.Millisecond {
			t.Errorf("got %+v, err = %v; want 10 ms to the echo and 20 to the ping behind it", got, err)
		}
	})
}

func TestMQTTConfirmSaysWhyItCannotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tokens: true, probe: streamErrorEvent("forbidden", "Invalid token")}
		c := newBroker(t, b)
		c.Token = func(context.Context) (string, error) {
			return token.Mint(token.MintOptions{KeyID: "k", Secret: []byte("s"), Write: []string{"chat"}})
		}
		_, err := c.PublishConfirmed(t.Context(), "chat", nil, overMQTT, time.Second)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "auth.invalid_token" || len(b.lines("PUBLISH")) != 0 {
			t.Errorf("err = %v after %q, want the refusal before any message", err, b.lines("PUBLISH"))
		}
	})
}

// A signal at the moment when the input ends: what waits behind the messages in
// flight is dropped then, and nobody has heard of it.
func TestMQTTBatchThatEndsWithMessagesWaitingIsNotDone(t *testing.T) {
	inBubble(t, "the context ends as the input does", func(t *testing.T) {
		c := newBroker(t, &broker{tokens: true}, "chat")
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		gate, told := make(chan struct{}), 0
		next := func(_ context.Context, n int) ([]byte, error) {
			if n < 5 {
				return []byte{byte(n)}, nil
			}
			synctest.Wait() // the first is being reported, some are in flight, and some wait
			cancel(cause)
			close(gate)
			return nil, io.EOF
		}
		err := c.PublishAll(ctx, "chat", next, BatchOptions{Message: overMQTT, Parallel: 1}, func(Sent) error {
			<-gate
			told++
			return nil
		})
		if told == 4 || !errors.Is(err, cause) {
			t.Errorf("%d of 4 reported, and the batch ends with %v", told, err)
		}
	})
}
