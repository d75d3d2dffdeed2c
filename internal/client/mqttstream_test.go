package client

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

func TestMQTTReconnectsResubscribesAndReportsTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat", "news")
		connections := 0
		b.hook = whenSubscribed(2, func(p *peer) {
			if connections++; connections == 1 {
				b.deliver(mqtt.Message{Topic: "chat", Payload: []byte("one")})
				synctest.Wait()
				b.stored["news"] = "kept meanwhile"
				p.drop()
				return
			}
			b.deliver(mqtt.Message{Topic: "chat", Payload: []byte("two")})
		})
		got, err := followMQTT(t, c, 3, "chat", "news")
		want := []string{
			"open", "message one", "reconnecting", "open",
			"gap live messages published while disconnected may have been missed; the newest stored message of each topic follows",
			"message kept meanwhile", "message two",
		}
		if !slices.Equal(got, want) || !errors.Is(err, errEnough) {
			t.Errorf("events = %q, err = %v, want %q", got, err, want)
		}
	})
}

func TestMQTTFarewellsDecideAboutReconnecting(t *testing.T) {
	for _, tc := range []struct {
		rule     string
		farewell []byte
		code     string
		again    bool
	}{
		{"a stored message that cannot be read", []byte{0xe0, 1, 0x80}, "api.store_read", true},
		{"a broker that shuts down", []byte{0xe0, 2, 0x8b, 0}, "api.server_error", true},
		{"no reason given", []byte{0xe0, 0}, "api.server_error", true},
		{"our session taken over", []byte{0xe0, 1, 0x8e}, "api.bad_request", false},
		{"not authorized any more", []byte{0xe0, 1, 0x87}, "auth.refused", false},
	} {
		inBubble(t, tc.rule, func(t *testing.T) {
			b := &broker{}
			c := newBroker(t, b, "chat")
			b.hook = whenSubscribed(1, func(p *peer) {
				if len(b.lines("CONNECT")) == 1 {
					p.out <- tc.farewell
					return
				}
				p.out <- live("chat", "back")
			})
			got, err := followMQTT(t, c, 1)
			e, _ := errors.AsType[*Error](err)
			if again := errors.Is(err, errEnough); again != tc.again || !again && e.Code() != tc.code {
				t.Errorf("err = %v after %q, want another connection: %t", err, got, tc.again)
			}
		})
	}
}

func TestMQTTPingsAndTakesSilenceForDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		answered := 0
		b.hook = func(p *peer, r mqtt.Request) bool {
			if r.Type() == mqtt.TypePingreq {
				answered++
			}
			return r.Type() == mqtt.TypePingreq && answered > 2
		}
		began := time.Now()
		var lost time.Duration
		err := c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{Transport: c.MQTT(), NoReconnect: true}, func(e Event) error {
			lost = time.Since(began)
			return nil
		})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "network.silent" {
			t.Errorf("err = %v, want network.silent", err)
		}
		if lost < 3*pingEvery+pingGrace || lost > 3*pingEvery+pingGrace+partingTime || answered != 3 {
			t.Errorf("lost after %v and %d pings, want 20 s after the third, 45 s apart", lost, answered)
		}
	})
}

func TestMQTTAnyByteIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		b.hook = func(p *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypePingreq } // none is answered
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { // ends with ctx
			for tick := time.Tick(15 * time.Second); ; {
				select {
				case <-tick:
					b.deliver(mqtt.Message{Topic: "chat"})
				case <-ctx.Done():
					return
				}
			}
		}()
		if got, err := followMQTT(t, c, 50); !errors.Is(err, errEnough) || slices.Contains(got, "reconnecting") {
			t.Errorf("err = %v after %q, want one connection for 50 messages", err, got)
		}
	})
}

func TestMQTTSlowConsumerIsNotASilentService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		b.hook = whenSubscribed(1, sends(live("chat", "1"), live("chat", "2"), live("chat", "3")))
		var got []string
		err := c.Subscribe(t.Context(), []pubsub.Topic{"chat"}, SubscribeOptions{Transport: c.MQTT()}, func(e Event) error {
			got = append(got, describe(e))
			if e.Kind == KindMessage {
				time.Sleep(10 * time.Minute)
			}
			if len(got) == 4 {
				return errEnough
			}
			return nil
		})
		if want := []string{"open", "message 1", "message 2", "message 3"}; !slices.Equal(got, want) {
			t.Errorf("events = %q, err = %v, want %q", got, err, want)
		}
		if n := len(b.lines("PINGREQ")); n < 30*60/45-1 {
			t.Errorf("%d pings in half an hour, want one each 45 s although nobody reads", n)
		}
	})
}

func TestMQTTHonoursTheServersKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		b.hook = func(p *peer, r mqtt.Request) bool {
			switch r.Type() {
			case mqtt.TypeConnect:
				p.out <- []byte{0x20, 6, 0, 0, 3, 0x13, 0, 10}
				return true
			case mqtt.TypePingreq:
				if len(b.lines("PINGREQ")) == 8 {
					p.out <- live("chat", "x")
				}
			}
			return false
		}
		began := time.Now()
		followMQTT(t, c, 1)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("eight pings took %v, want 7.5 s each for a keep alive of 10 s", took)
		}
	})
}

func TestMQTTToleratesOtherBrokers(t *testing.T) {
	message := live("chat", "x")
	for rule, send := range map[string]func(*peer){
		"properties":                 sends([]byte{0x30, 14, 0, 4, 'c', 'h', 'a', 't', 6, 0x26, 0, 0, 0, 1, 'v', 'x'}),
		"several packets in a frame": sends(slices.Concat([]byte{0xd0, 0}, message)),
		"a packet over frames":       sends(message[:1], message[1:4], emptyFrame, message[4:]),
		"UNSUBACK unasked":           sends([]byte{0xb0, 4, 0, 9, 0, 0}, message),
		"the answer to an UNSUBSCRIBE in a SUBACK (Quirk Q4)": sends([]byte{0x90, 4, 0, 9, 0, 0x11}, message),
		"SUBACK unasked":              sends([]byte{0x90, 4, 0, 9, 0, 0x11}, message),
		"a topic alias beside a name": sends([]byte{0x30, 11, 0, 4, 'c', 'h', 'a', 't', 3, 0x23, 0, 7, 'x'}),
		"a WebSocket ping": func(p *peer) {
			go func() { // ends with the pong
				if err := p.conn.Ping(context.Background()); err == nil {
					p.out <- message
				}
			}()
		},
		"fragments": func(p *peer) {
			w, err := p.conn.Writer(context.Background(), websocket.MessageBinary)
			for _, part := range [][]byte{message[:3], message[3:]} {
				if err == nil {
					_, err = w.Write(part)
				}
			}
			if err := errors.Join(err, w.Close()); err != nil {
				p.broker.t.Error(err)
			}
		},
	} {
		inBubble(t, rule, func(t *testing.T) {
			b := &broker{hook: whenSubscribed(1, func(p *peer) { synctest.Wait(); send(p) })}
			got, err := followMQTT(t, newBroker(t, b, "chat"), 1)
			if want := []string{"open", "message x"}; !slices.Equal(got, want) {
				t.Errorf("events = %q, err = %v, want %q", got, err, want)
			}
		})
	}
}

// emptyFrame is an empty frame; nil would end the writer.
var emptyFrame = []byte{}

func TestMQTTProtocolErrorsEndTheConnection(t *testing.T) {
	for rule, send := range map[string]func(*peer){
		"a topic alias alone":     sends([]byte{0x30, 7, 0, 0, 3, 0x23, 0, 7, 'x'}),
		"QoS 1":                   sends([]byte{0x32, 10, 0, 4, 'c', 'h', 'a', 't', 0, 1, 0, 'x'}),
		"a packet beyond 1 MiB":   sends([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}),
		"a length without an end": sends([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"a request":               sends([]byte{0xc0, 0}),
		"a text frame": func(p *peer) {
			if err := p.conn.Write(context.Background(), websocket.MessageText, live("chat", "x")); err != nil {
				p.broker.t.Error(err)
			}
		},
	} {
		inBubble(t, rule, func(t *testing.T) {
			b := &broker{hook: whenSubscribed(1, func(p *peer) { synctest.Wait(); send(p) })}
			c := newBroker(t, b, "chat")
			_, err := follow(t, c, SubscribeOptions{Transport: c.MQTT(), NoReconnect: true}, 1)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "api.protocol" {
				t.Errorf("err = %v, want api.protocol", err)
			}
		})
	}
}

func TestMQTTOpeningIsBounded(t *testing.T) {
	for rule, hook := range map[string]func(*peer, mqtt.Request) bool{
		"no CONNACK": func(*peer, mqtt.Request) bool { return true },
		"no SUBACK":  func(_ *peer, r mqtt.Request) bool { return r.Type() == mqtt.TypeSubscribe },
	} {
		inBubble(t, rule, func(t *testing.T) {
			c := newBroker(t, &broker{hook: hook}, "chat")
			c.Timeout = 5 * time.Second
			began := time.Now()
			_, err := followMQTT(t, c, -1)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "timeout.request" || time.Since(began) > c.Timeout+partingTime {
				t.Errorf("err = %v after %v, want timeout.request after 5 s", err, time.Since(began))
			}
		})
	}
}

func TestMQTTEarlyMessagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		b.hook = func(p *peer, r mqtt.Request) bool {
			if r.Type() != mqtt.TypeSubscribe {
				return false
			}
			packet := publishPacket(mqtt.Message{Topic: "chat", Payload: make([]byte, 1<<20-64)})
			for range 70 {
				p.out <- packet
			}
			return true
		}
		_, err := followMQTT(t, newBroker(t, b, "chat"), -1)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code() != "api.protocol" || !errors.Is(err, errEarly) {
			t.Errorf("err = %v, want the flood to end the connection", err)
		}
	})
}

func TestMQTTEndOfTheContextSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		c := newBroker(t, b, "chat")
		ctx, stop := context.WithCancelCause(t.Context())
		over := errors.New("over")
		err := c.Subscribe(ctx, []pubsub.Topic{"chat"}, SubscribeOptions{Transport: c.MQTT()}, func(e Event) error {
			if e.Kind == KindOpen {
				stop(over)
			}
			return nil
		})
		synctest.Wait()
		if got := b.lines("DISCONNECT"); !errors.Is(err, over) || !slices.Equal(got, []string{"DISCONNECT"}) {
			t.Errorf("err = %v after %q, want the cause after a farewell", err, got)
		}
	})
}

func TestMQTTUsesTheClientsTransport(t *testing.T) {
	failed := errors.New("no way")
	c := &Client{URL: "http://service.test", HTTP: roundTrip(func(r *http.Request) (*http.Response, error) { return nil, failed })}
	if _, err := followMQTT(t, c, -1); !errors.Is(err, failed) {
		t.Errorf("err = %v, want that of the round tripper", err)
	}
}

// roundTrip is a round tripper that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMQTTLogNamesPacketsAndTheirSizesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newBroker(t, &broker{tokens: true, hook: whenSubscribed(1, sends(live("a", "PAYLOAD")))}, "a")
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		tok, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := followMQTT(t, c, 1, "a"); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		for _, want := range []string{`cause="GET /mqtt"`, `msg="packet sent" cause=CONNECT`, `msg="packet received" cause=SUBACK bytes=6`, `msg="packet received" cause=PUBLISH bytes=13`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %s:\n%s", want, log.String())
			}
		}
		for _, never := range []string{tok, "PAYLOAD"} {
			if strings.Contains(log.String(), never) {
				t.Errorf("log holds %s:\n%s", never, log.String())
			}
		}
	})
}
