package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// inBubble runs f with a fake clock, under which a goroutine that is left over
// fails the test.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// followMQTT is follow over MQTT.
func followMQTT(t *testing.T, c *Client, messages int, topics ...pubsub.Topic) ([]string, error) {
	t.Helper()
	return follow(t, c, SubscribeOptions{Transport: c.MQTT()}, messages, topics...)
}

// whenSubscribed has f called once the last of so many topics is answered.
func whenSubscribed(topics int, f func(*peer)) func(*peer, mqtt.Request) bool {
	seen := 0
	return func(p *peer, r mqtt.Request) bool {
		if r.Type() != mqtt.TypeSubscribe {
			return false
		}
		p.broker.subscribe(p, r)
		if seen++; seen%topics == 0 {
			f(p)
		}
		return true
	}
}

// sends is a hook's function that sends packets as they are.
func sends(packets ...[]byte) func(*peer) {
	return func(p *peer) {
		for _, packet := range packets {
			p.out <- packet
		}
	}
}

func live(topic pubsub.Topic, text string) []byte {
	return publishPacket(mqtt.Message{Topic: topic, Payload: []byte(text)})
}

func TestMQTTKeepsTheRulesOfTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{tokens: true}
		c := newBroker(t, b, "a", "b c", "d")
		b.hook = whenSubscribed(3, func(*peer) { b.deliver(mqtt.Message{Topic: "d", Payload: []byte("x")}) })
		if _, err := followMQTT(t, c, 1, "d", "a", "b c", "a"); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{
			"handshake mqtt test/1", "CONNECT",
			"SUBSCRIBE 1 a qos=0 nolocal=false rap=true rh=0 more=0",
			"SUBSCRIBE 2 b c qos=0 nolocal=false rap=true rh=0 more=0",
			"SUBSCRIBE 3 d qos=0 nolocal=false rap=true rh=0 more=0",
			"DISCONNECT",
		}
		if !slices.Equal(b.heard, want) {
			t.Errorf("the service heard %q, want %q", b.heard, want)
		}
	})
}

func TestMQTTClientIDsAreUniqueAndFitEveryServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "a")
		b.hook = whenSubscribed(1, func(*peer) { b.deliver(mqtt.Message{Topic: "a"}) })
		followMQTT(t, c, 1, "a")
		followMQTT(t, c, 1, "a")
		one, two := b.peers[0].id, b.peers[1].id
		if one == two || len(one) != 23 || strings.Trim(one, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Errorf("ids %q and %q, want two different ones of 23 letters and digits", one, two)
		}
	})
}

func TestMQTTAttributesMessagesAndTellsStoredOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "a", "b")
		b.stored["a"] = "kept"
		b.hook = whenSubscribed(2, func(*peer) {
			b.deliver(mqtt.Message{Topic: "b", Payload: []byte{0xff, 0}})
			b.deliver(mqtt.Message{Topic: "a", Payload: nil})
		})
		var got []Message
		err := c.Subscribe(t.Context(), []pubsub.Topic{"a", "b"}, SubscribeOptions{Transport: c.MQTT()}, func(e Event) error {
			if e.Kind != KindMessage {
				return nil
			}
			if m := e.Message; e.Transport == "mqtt" && e.Conn == 1 {
				m.Data = slices.Clone(m.Data)
				got = append(got, m)
			}
			if len(got) == 3 {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		for i, want := range []Message{
			{Topic: "a", Name: "message", Data: []byte("kept"), Retained: true},
			{Topic: "b", Name: "message", Data: []byte{0xff, 0}},
			{Topic: "a", Name: "message", Data: []byte{}},
		} {
			if m := got[i]; m.Topic != want.Topic || m.Name != want.Name || m.ID != "" || string(m.Data) != string(want.Data) || m.Retained != want.Retained {
				t.Errorf("message %d = %+v, want %+v", i, m, want)
			}
		}
	})
}

func TestMQTTSubscribesManyTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "t")
		var topics []pubsub.Topic
		for i := range 1000 {
			topics = append(topics, pubsub.Topic(strings.Repeat("t", i+1)))
			b.stored[topics[i]] = "kept"
		}
		if lines, err := followMQTT(t, c, 1000, topics...); !errors.Is(err, errEnough) || len(lines) != 1001 {
			t.Errorf("%d events, err = %v; want an opening and a stored message of each topic", len(lines), err)
		}
	})
}

func TestMQTTRefusedTopicIsExplained(t *testing.T) {
	const unnamed = "SUBACK 0x87"
	for _, tc := range []struct {
		rule, probe, code, evidence string
		requests                    int
	}{
		{"the topic", streamErrorEvent("forbidden", "Cannot subscribe to topic: b"), "auth.topic_not_granted", "forbidden", 1},
		{"the token", streamErrorEvent("forbidden", "Invalid token"), "auth.invalid_token", "forbidden", 1},
		{"the key, which may be new", streamErrorEvent("internal-server-error", "Auth process failed"), "auth.unknown_key", "internal-server-error", 3},
		{"nothing, as event streams accept it", opened, "auth.refused", unnamed, 1},
		{"nothing, as there are no event streams", "<html>", "auth.refused", unnamed, 1},
		{"nothing, as the store fails there", streamErrorEvent("internal-server-error", "Failed to read message from storage"), "auth.refused", unnamed, 1},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			b := &broker{tokens: true, probe: tc.probe}
			c := newBroker(t, b, "a")
			_, err := followMQTT(t, c, -1, "a", "b")
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code() != tc.code || e.Condition != tc.evidence || e.Topic != "b" || e.Op != "subscribe" {
				t.Errorf("err = %+v, want %s from %s about b", e, tc.code, tc.evidence)
			}
			if n := len(b.lines("handshake")); n != tc.requests {
				t.Errorf("%d connections, want %d", n, tc.requests)
			}
			if got := b.lines("GET"); len(got) != tc.requests || got[0] != "GET topic=b true" {
				t.Errorf("looked for the reason with %q", got)
			}
		})
	}
}

func TestMQTTRefusals(t *testing.T) {
	suback := func(code mqtt.Reason) func(*peer, mqtt.Request) bool {
		return func(p *peer, r mqtt.Request) bool {
			if r.Type() == mqtt.TypeSubscribe {
				p.out <- mqtt.AppendSuback(nil, 1, code)
			}
			return r.Type() == mqtt.TypeSubscribe
		}
	}
	connack := func(packet ...byte) func(*peer, mqtt.Request) bool {
		return func(p *peer, r mqtt.Request) bool {
			p.out <- packet
			return r.Type() == mqtt.TypeConnect
		}
	}
	for _, tc := range []struct {
		rule        string
		hook        func(*peer, mqtt.Request) bool
		code, text  string
		connections int
	}{
		{"a wildcard", suback(mqtt.WildcardSubscriptionsNotSupported), "api.bad_request", "SUBACK 0xA2: wildcard subscriptions not supported", 1},
		{"a store that cannot be read may recover", suback(mqtt.UnspecifiedError), "api.store_read", "SUBACK 0x80: unspecified error", 3},
		{"a broker without a place may have one later", suback(mqtt.QuotaExceeded), "api.server_error", "SUBACK 0x97: quota exceeded", 3},
		{"CONNECT refused by a broker", connack(0x20, 3, 0, 0x87, 0), "auth.refused", "CONNACK 0x87: not authorized", 1},
		{"with its reason", connack(0x20, 8, 0, 0x86, 5, 0x1f, 0, 2, 'n', 'o'), "auth.refused", "CONNACK 0x86: bad user name or password: no", 1},
		{"a broker that is busy", connack(0x20, 3, 0, 0x89, 0), "api.server_error", "CONNACK 0x89: server busy", 3},
		{"a broker of another version", connack(0x20, 2, 0, 1), "api.protocol", "CONNACK 0x84: unsupported protocol version", 1},
		{"a farewell instead", connack(0xe0, 1, 0x8b), "api.server_error", "DISCONNECT 0x8B: server shutting down", 3},
		{"another packet", connack(0xd0, 0), "api.protocol", "the answer to CONNECT is not a CONNACK", 1},
		{"no MQTT at all", connack('h', 'i', 'h', 'i'), "api.protocol", "malformed packet: reserved flags of a PUBREL", 1},
		{"an answer to nothing", subackUnasked, "api.protocol", "an answer to a SUBSCRIBE that was not sent", 1},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			b := &broker{hook: tc.hook}
			_, err := followMQTT(t, newBroker(t, b, "chat"), -1)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code() != tc.code || e.Error() != "subscribe: "+tc.text {
				t.Errorf("err = %v (%s), want %s: %s", err, e.Code(), tc.code, tc.text)
			}
			if n := len(b.lines("handshake")); n != tc.connections {
				t.Errorf("%d connections, want %d", n, tc.connections)
			}
		})
	}
}

// subackUnasked answers a SUBSCRIBE nobody sent.
func subackUnasked(p *peer, r mqtt.Request) bool {
	if r.Type() == mqtt.TypeSubscribe {
		p.out <- mqtt.AppendSuback(nil, 2, mqtt.Success)
	}
	return false
}

func TestMQTTHandshakesThatFail(t *testing.T) {
	for _, tc := range []struct {
		rule string
		step step
		code string
	}{
		{"no such path", text(404, "Not Found\n"), "not_found.no_route"},
		{"a platform without the app", step{status: 503, foreign: true, body: func(context.Context, io.Writer) {}}, "api.platform"},
		{"no upgrade", text(200, "hello"), "api.protocol"},
		{"an upgrade to something else", step{status: 101, body: func(context.Context, io.Writer) {}}, "api.protocol"},
		{"a redirect is not followed", step{status: 302, foreign: true, body: func(context.Context, io.Writer) {}}, "api.platform"},
		{"a broken connection", step{err: io.ErrUnexpectedEOF}, "network.closed"},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			c, s := newService(t, tc.step, tc.step, tc.step)
			_, err := followMQTT(t, c, -1)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code() != tc.code {
				t.Errorf("err = %v, want %s", err, tc.code)
			}
			for _, r := range s.requests() {
				if r.Header.Get("Authorization") != "" || r.Header.Get("Fastly-Key") != "" || r.URL.Path != "/mqtt" {
					t.Errorf("request %s with headers %v", r.URL, r.Header)
				}
			}
		})
	}
}

func TestMQTTNeedsItsSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := followMQTT(t, newBroker(t, &broker{unnamed: true}, "chat"), -1)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "api.protocol" {
			t.Errorf("err = %v, want api.protocol", err)
		}
	})
}

func TestMQTTUnusableArguments(t *testing.T) {
	for _, tc := range []struct {
		rule, code string
		topics     []pubsub.Topic
		token      string
	}{
		{"empty topic", "usage.no_topic", []pubsub.Topic{""}, "tok"},
		{"not UTF-8", "usage.bad_argument", []pubsub.Topic{"\xff"}, "tok"},
		{"NUL", "usage.bad_argument", []pubsub.Topic{"a\x00"}, "tok"},
		{"too long a topic", "usage.bad_argument", []pubsub.Topic{pubsub.Topic(strings.Repeat("t", 1<<16))}, "tok"},
		{"a token with a line end", "auth.invalid_token", []pubsub.Topic{"a"}, "tok\n"},
		{"too long a token", "auth.invalid_token", []pubsub.Topic{"a"}, strings.Repeat("t", 1<<16)},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			c, s := newService(t)
			c.Token = func(context.Context) (string, error) { return tc.token, nil }
			_, err := followMQTT(t, c, -1, tc.topics...)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code() != tc.code || len(s.requests()) != 0 {
				t.Errorf("err = %v after %d requests, want %s before any", err, len(s.requests()), tc.code)
			}
		})
	}
}
