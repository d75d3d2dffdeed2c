package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// The conversations of section 7 and of the checklist, each on a connection of
// its own; what a name begins with is the item.
func TestMQTTConversations(t *testing.T) {
	for _, c := range []struct{ name, transcript string }{
		{"7.11 a whole session", `
			> {c1}
			< {connack}
			> 82 0A 00 01 00 {test} 00
			= subscribe s:test
			= subscribe d:test
			< 90 04 00 01 00 00
			> 30 09 {test} 00 79 6F
			* s:test 30 09 {test} 00 79 6F by c1
			> C0 00
			< D0 00
			> A2 09 00 02 00 {test}
			= unsubscribe s:test
			= unsubscribe d:test
			< 90 04 00 02 00 00
			> E0 02 00 00
			> close 03 E8
			< close 1000`},
		{"74 a garbage password", `
			> 10 12 00 04 4D 51 54 54 05 42 00 3C 00 00 02 63 31 00 01 78
			< {connack}`},
		{"74 no password", `
			> 10 0F 00 04 4D 51 54 54 05 02 00 3C 00 00 02 63 31
			< {connack}`},
		{"75 version 3.1.1", `
			> 10 0E 00 04 4D 51 54 54 04 02 00 3C 00 02 63 31
			< 20 02 00 01
			< close 1000`},
		{"75 version 6", `
			> 10 07 00 04 4D 51 54 54 06
			< 20 0B 00 84 08 24 00 25 01 28 00 2A 00
			< close 1000`},
		{"75 version 3.1", `
			> 10 10 00 06 4D 51 49 73 64 70 03 02 00 3C 00 02 63 31
			< close 1000`},
		{"78 filters that are refused", `
			> 82 07 00 01 00 00 01 23 00
			< 90 04 00 01 00 A2
			> {c1}
			< {connack}
			> 82 09 00 02 00 00 03 61 2F 2B 00
			< 90 04 00 02 00 A2
			> 82 09 00 03 00 00 03 61 2B 62 00
			< 90 04 00 03 00 A2
			> 82 06 00 04 00 00 00 00
			< 90 04 00 04 00 80
			> 82 07 00 05 00 00 01 61 00
			< 90 04 00 05 00 87`},
		{"80 and 81 a subscription identifier and QoS 1", `
			> {c1}
			< {connack}
			> 82 0C 00 01 02 0B 05 {test} 01
			= subscribe s:test
			= subscribe d:test
			< 90 04 00 01 00 00`},
		{"82 flags", `
			> 80 0A 00 01 00 {test} 00
			< close 1000`},
		{"82 no filter", `
			> 82 03 00 01 00
			< close 1000`},
		{"87 unsubscribe twice", `
			> {c1} | 82 0A 00 01 00 {test} 00
			= subscribe s:test
			= subscribe d:test
			< {connack}
			< 90 04 00 01 00 00
			> A2 09 00 02 00 {test}
			= unsubscribe s:test
			= unsubscribe d:test
			< 90 04 00 02 00 00
			> A2 09 00 02 00 {test}
			< 90 04 00 02 00 11`},
		{"90 messages that vanish", `
			> {c1}
			< {connack}
			> 30 06 00 01 61 00 68 69
			> 30 07 00 02 24 78 00 68 69
			> 30 0A 00 00 03 23 00 01 68 69 68 69`},
		{"92 two packets in two frames", `
			> {c1}
			< {connack}
			> 30 09 {test} 00 68 69 | C0 00
			* s:test 30 09 {test} 00 68 69 by c1
			< D0 00`},
		{"93 one packet in three frames", `
			> {c1}
			< {connack}
			> 30
			~ 1
			> 09 00 04 74 65
			~ 6
			> 73 74 00 68 69
			* s:test 30 09 {test} 00 68 69 by c1
			> C0 00 C0 00
			< D0 00
			< D0 00`},
		{"93 three frames of a packet in one call, a ping between", `
			> {c1}
			< {connack}
			> 30 09 | ping 01 02 03 | 00 04 74
			~ 8
			> 65 73 74 00 68 | 69 C0
			* s:test 30 09 {test} 00 68 69 C0 by c1
			~ 1
			> 00
			< D0 00`},
		{"94 properties are dropped", `
			> {c1}
			< {connack}
			> 30 1B {test} 12 26 00 01 61 00 01 62 03 00 01 74 08 00 01 72 01 01 68 69
			* s:test 30 09 {test} 00 68 69 by c1`},
		{"97 an unknown property", `
			> 30 08 00 01 61 02 99 00 68 69
			< close 1000`},
		{"97 a bad length", `
			> 30 FF FF FF FF 01
			< close 1000`},
		{"97 a topic that is not UTF-8", `
			> 30 04 00 01 FF 00
			< close 1000`},
		{"98 what comes before is answered", `
			> C0 00 C0 00 30 FF FF FF FF 01
			< D0 00
			< D0 00
			< close 1000
			> C0 00`},
		{"99 before CONNECT, and with a body", `
			> C0 00
			< D0 00
			> C0 01 00
			< D0 00`},
		{"100 types that are passed over", `
			> F0 00 | 40 02 00 01 | 62 02 00 01 | 20 03 00 00 00 | 00 00
			> C0 00
			< D0 00`},
		{"101 DISCONNECT and CONNECT again", `
			> {c1} | 82 0A 00 01 00 {test} 00
			= subscribe s:test
			= subscribe d:test
			< {connack}
			< 90 04 00 01 00 00
			> E0 02 00 00
			= unsubscribe s:test
			= unsubscribe d:test
			> 82 0A 00 01 00 {test} 00
			< 90 04 00 01 00 87
			> {c1}
			< {connack}`},
		{"101 other forms of DISCONNECT", `
			> E0 01 00 | E0 02 80 00
			> E0 02 04 00
			< close 1000`},
		{"102 any close is answered alike", `
			> close 0F A0 62 79 65
			< close 4000 bye`},
		{"102 a close without a code", `
			> close
			< close 0`},
		{"a client that is gone", `
			> C0 00 | gone
			< D0 00`},
	} {
		t.Run(c.name, func(t *testing.T) { converse(t, newBench(t), c.transcript) })
	}
}

// Item 73 and Quirk Q32, Q38, Q39, Q43: the 101.
func TestItem73Handshake(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.Config = map[string]string{"mqtt": "nonsense", "sse": "false"} })
	for _, c := range []struct {
		offer []string
		want  string
	}{
		{[]string{"mqtt"}, "mqtt"},
		{nil, ""},
		{[]string{"mqttv3.1, mqtt"}, "mqtt"},
		{[]string{"mqtt, mqttv3.1"}, ""},
		{[]string{"mqtt,foo"}, ""},
		{[]string{"MQTT"}, ""},
		{[]string{"x", "mqtt"}, ""},
	} {
		t.Run(strings.Join(c.offer, ";"), func(t *testing.T) {
			s := &fanout.Socket{Handshake: request("GET", "/mqtt", "")}
			if c.offer != nil {
				s.Handshake.Header["Sec-Websocket-Protocol"] = c.offer
			}
			reply, err := b.Events(t.Context(), s, []grip.Event{{Type: grip.EventOpen}})
			if err != nil || reply.Refuse != nil {
				t.Fatal(reply, err)
			}
			if got := reply.Header.Get("Sec-WebSocket-Protocol"); got != c.want {
				t.Errorf("subprotocol is %q, want %q", got, c.want)
			}
			if reply.Header.Get("Access-Control-Allow-Origin") != "*" || reply.Header["Content-Type"] != nil || reply.Interval != 120*time.Second {
				t.Errorf("reply is %+v", reply)
			}
		})
	}
}

// A handshake elsewhere is answered as the plain request it is; on /events that
// neither publishes (Quirk Q44) nor holds.
func TestHandshakesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, target string
		change       func(*app.Options, http.Header)
		status       int
		body         string
	}{
		{"root", "/", nil, 200, "Hello from Fastly Pub/Sub!\n"},
		{"nowhere", "/mqtt/", nil, 404, "Not Found\n"},
		{"quirk 44", "/events?topic=test&auth=" + apptest.TokenRW, nil, 405, "Method Not Allowed\n"},
		{"keys", "/admin/keys", nil, 405, "Method Not Allowed\n"},
		{"a client's Grip-Sig", "/mqtt", func(_ *app.Options, h http.Header) { h.Set("Grip-Sig", "x") }, 500, "Failed to authorize Fanout proxy.\n"},
		{"42 broken", "/mqtt", func(o *app.Options, _ http.Header) { o.Config = map[string]string{"sse": "1"} }, 500, "Configuration process failed.\n"},
		{"both off", "/events", func(o *app.Options, _ http.Header) {
			o.Config = map[string]string{"sse": "false", "http-publish": "false"}
		}, 404, "Not Found\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &fanout.Socket{Handshake: request("GET", c.target, "")}
			b := newBench(t, func(o *app.Options) {
				if c.change != nil {
					c.change(o, s.Handshake.Header)
				}
			})
			reply, err := b.Events(t.Context(), s, []grip.Event{{Type: grip.EventOpen}})
			if err != nil || reply.Refuse == nil || len(b.fanout.items) > 0 {
				t.Fatal(reply, err)
			}
			wantBody(t, reply.Refuse, c.status, c.body)
			if reply.Refuse.Instruct != nil || reply.Refuse.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("got %+v", reply.Refuse)
			}
		})
	}
}

// A configuration that breaks under an open socket drops it (section 9.1).
func TestBrokenConfigDropsSockets(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	b.SetConfig(map[string]string{"admin": "yes"})
	k.follow(`> C0 00
		! the configuration cannot be read`)
	if _, err := b.Events(t.Context(), &fanout.Socket{}, nil); err == nil {
		t.Error("a socket that was never opened has events")
	}
}

// Item 11, 9 and 105: what is stored comes behind the SUBACK, later messages
// with the next call, before the answer to what called.
func TestItem11StoredMessages(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["test"] = slot(1, 1, "hello")
	k := openTalk(t, b)
	k.follow(`
		> {c1}
		< {connack}
		> 82 0A 00 01 00 {test} 00
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00
		< 31 0C {test} 00 68 65 6C 6C 6F
		> C0 00
		< D0 00`)
	b.shelf.slots["test"] = slot(1, 2, "A")
	k.follow(`
		> refresh
		< 30 08 {test} 00 41
		> refresh`)
	b.shelf.slots["test"] = slot(1, 3, "B")
	k.follow(`
		> C0 00
		< 30 08 {test} 00 42
		< D0 00
		> 82 0A 00 01 00 {test} 28
		< 90 04 00 01 00 00`)
	b.shelf.slots["test"] = slot(1, 4, "C")
	k.follow(`
		> ping
		< 31 08 {test} 00 43`)
	b.shelf.slots["test"] = slot(9, 1, "D") // item 108
	k.follow(`
		> close 03 E8
		< 31 08 {test} 00 44
		< close 1000`)
}

// Quirks Q22 and Q23, items 11 and 83: who gets the stored message at once.
func TestQuirk22RetainHandling(t *testing.T) {
	b := newBench(t)
	b.shelf.slots["test"] = slot(1, 1, "A")
	converse(t, b, `
		> {c1}
		< {connack}
		> 82 0A 00 01 00 {test} 10
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00
		> 82 0A 00 01 00 {test} 20 | 82 0A 00 01 00 {test} 30
		< 90 04 00 01 00 00
		< 90 04 00 01 00 00
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 00
		< 31 08 {test} 00 41
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 00
		< 31 08 {test} 00 41`)
}

// Items 84, 95 and 68: seconds left, rounded down, and a slot that has expired.
func TestItem84Expiry(t *testing.T) {
	b := newBench(t)
	s := slot(1, 1, "A")
	s.Entry.Expires = time.Now().Add(90*time.Minute + 500*time.Millisecond)
	b.shelf.slots["test"] = s
	k := openTalk(t, b)
	k.call(expand("{c1}"))
	got := k.call(expand("82 0A 00 01 00 {test} 00"))
	if want := expand("< 31 0D {test} 05 02 00 00 15 18 41"); got[len(got)-1] != want {
		t.Errorf("got %q, want %q at the end", got, want)
	}
	b.shelf.slots["test"] = store.Slot{Version: pubsub.Version{Generation: 1, Seq: 2}}
	k.follow("> refresh")
	s = slot(1, 3, "B")
	s.Entry.Expires = time.Now().Add(-time.Second) // between the store's look at the clock and ours
	b.shelf.slots["test"] = s
	k.follow(`> refresh
		< 30 0D {test} 05 02 00 00 00 00 42`)
}

// Item 31: each packet is judged by the token's time, what is open stays open.
func TestItem31TokenExpires(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	exp := time.Now().Add(-pubsub.Grace - time.Hour)
	k.call(hexOf(connect("c1", mint(exp))))
	k.follow(`
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 87
		> 30 09 {test} 00 68 69`)
	wantWarning(t, b, "SUBACK 0x87", "exp")
}

// Items 85 and 86, Quirks Q19, Q20 and Q49: the engine filters by client id,
// and goes on as it began until an UNSUBSCRIBE of an earlier frame.
func TestItem85Quirk20NoLocal(t *testing.T) {
	for _, c := range []struct{ name, transcript string }{
		{"with a client id", `
			> {c1}
			< {connack}
			> 82 0A 00 01 00 {test} 04
			= set-meta user=c1
			= subscribe s:test skip-self
			= subscribe d:test
			< 90 04 00 01 00 00
			> 31 08 {test} 00 41
			* d:test refresh by c1
			> refresh
			< 30 08 {test} 00 41`},
		{"without one", `
			> {anonymous}
			< {connack}
			> 82 0A 00 01 00 {test} 04
			= subscribe s:test skip-self
			= subscribe d:test
			< 90 04 00 01 00 00
			> 30 08 {test} 00 41
			* s:test 30 08 {test} 00 41`},
		{"frozen, with the options following", `
			> {c1}
			< {connack}
			> 82 0A 00 01 00 {test} 04
			= set-meta user=c1
			= subscribe s:test skip-self
			= subscribe d:test
			< 90 04 00 01 00 00
			> 82 0A 00 01 00 {test} 08
			< 90 04 00 01 00 00
			> A2 09 00 02 00 {test} 82 0A 00 01 00 {test} 00
			< 90 04 00 02 00 00
			< 90 04 00 01 00 00
			> A2 09 00 02 00 {test} | 82 0A 00 01 00 {test} 00
			= unsubscribe s:test
			= unsubscribe d:test
			= subscribe s:test
			= subscribe d:test
			< 90 04 00 02 00 00
			< 90 04 00 01 00 00`},
		{"another client id in the same frame", `
			> {c1}
			< {connack}
			> 82 0A 00 01 00 {test} 04
			= set-meta user=c1
			= subscribe s:test skip-self
			= subscribe d:test
			< 90 04 00 01 00 00
			> E0 02 00 00 {anonymous} 82 0A 00 01 00 {test} 00
			= set-meta user
			< {connack}
			< 90 04 00 01 00 00`},
		{"never listened", `
			> {c1}
			< {connack}
			> 82 0A 00 01 00 {test} 04 A2 09 00 02 00 {test}
			< 90 04 00 01 00 00
			< 90 04 00 02 00 00`},
	} {
		t.Run(c.name, func(t *testing.T) { converse(t, newBench(t), c.transcript) })
	}
}

// Items 88 and 106: a slot that cannot be read.
func TestItem106UnreadableSlot(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	b.shelf.getErr = errBroken
	k.follow(`
		> {c1}
		< {connack}
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 80`)
	wantWarning(t, b, "refused", "SUBACK 0x80", "err=broken")
	b.shelf.getErr = nil
	k.follow(`
		> 82 0A 00 01 00 {test} 00
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00`)
	b.shelf.getErr = errBroken
	k.follow(`
		> C0 00 C0 00 | C0 00
		< E0 01 80
		< D0 00
		< D0 00
		< close 1000`)
	k = openTalk(t, newBench(t, func(o *app.Options) { o.MessagesStore = false }))
	k.follow(`
		> {c1}
		< {connack}
		> 82 0A 00 01 00 {test} 00
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00`)
}

// An empty call may find the store failing, too.
func TestUnreadableSlotOnRefresh(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	k.call(expand("{c1} | 82 0A 00 01 00 {test} 00"))
	b.shelf.getErr = errBroken
	k.follow(`
		> refresh
		< E0 01 80
		< close 1000`)
}

// Item 95 and 96, Quirk Q18: stored messages, and those that only should be.
func TestItem96Quirk18RetainFallsBack(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	k.follow(`
		> {c1}
		< {connack}
		> 31 0E {test} 05 02 00 00 00 3C 68 69
		* d:test refresh by c1`)
	got, err := b.shelf.Get(t.Context(), "test", pubsub.Version{})
	if err != nil || string(got.Entry.Data) != "hi" || time.Until(got.Entry.Expires).Round(10*time.Second) != time.Minute {
		t.Errorf("stored %+v, %v", got, err)
	}
	b.logs()
	b.shelf.putErr = errBroken
	k.follow(`
		> 31 0E {test} 05 02 00 00 00 3C 68 69
		* s:test 30 09 {test} 00 68 69 by c1`)
	wantWarning(t, b, "mqtt message published but not stored", "err=broken")
}

// A call that stores something looks into the store again before the next
// frame of the same batch.
func TestOwnStoredMessageInOneBatch(t *testing.T) {
	k := openTalk(t, newBench(t))
	k.call(expand("{c1} | 82 0A 00 01 00 {test} 00"))
	k.follow(`
		> 31 08 {test} 00 41 | C0 00
		* d:test refresh by c1
		< 30 08 {test} 00 41
		< D0 00`)
}

// Item 109 and Quirk Q41: without a publish token only the sender hears.
func TestItem109Quirk41Echo(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.PublishToken = false })
	k := openTalk(t, b)
	k.follow(`
		> {c1}
		< {connack}
		> 30 09 {test} 00 68 69
		< 30 09 {test} 00 68 69`)
	wantWarning(t, b, "mqtt message not published", "no publish token")
	k.follow(`
		> 82 0A 00 01 00 {test} 04
		= set-meta user=c1
		= subscribe s:test skip-self
		= subscribe d:test
		< 90 04 00 01 00 00
		> 30 09 {test} 00 68 69
		> 31 08 {test} 00 41
		> C0 00
		< 30 08 {test} 00 41
		< D0 00
		> 82 0A 00 01 00 {test} 20
		< 90 04 00 01 00 00
		> 31 08 {test} 00 42
		> refresh
		< 30 08 {test} 00 42
		> 30 08 {test} 00 43
		< 30 08 {test} 00 43`)
}

// A subscription is followed by a look into the store a second later: a message
// may have been stored before the engine listened.
func TestSubscribingIsFollowedUp(t *testing.T) {
	k := openTalk(t, newBench(t))
	k.call(expand("{c1}"))
	for _, c := range []struct {
		frame string
		want  time.Duration
	}{
		{"82 0A 00 01 00 {test} 00", time.Second},
		{"82 0A 00 01 00 {test} 00", 120 * time.Second},
		{"C0 00", 120 * time.Second},
		{"30 09 {test} 00 68 69", 120 * time.Second},
	} {
		reply, err := k.Events(t.Context(), k.socket, k.frames(expand(c.frame)))
		if err != nil || reply.Interval != c.want {
			t.Errorf("behind %s: %+v, %v, want interval %v", c.frame, reply, err, c.want)
		}
	}
}

// Bounds of what a connection may leave unfinished.
func TestUnfinishedPacketsAreBounded(t *testing.T) {
	head := []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F} // 256 MiB
	for _, c := range []struct {
		name          string
		frames, bytes int
		ends          bool
	}{
		{"just below", 1, 199_999, false},
		{"at the bound", 1, 200_000, true},
		{"in pieces", 4000, 4000, false},
		{"in too many pieces", 4200, 4200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := openTalk(t, newBench(t))
			data := append(slices.Clone(head), make([]byte, c.bytes-len(head))...)
			step, ended := c.bytes/c.frames, false
			for len(data) > 0 && !ended {
				got := k.give([]grip.Event{{Type: grip.EventBinary, Content: data[:step]}})
				ended = slices.Equal(got, []string{"< close 1009"})
				data = data[step:]
			}
			if ended != c.ends {
				t.Errorf("ended %v, want %v", ended, c.ends)
			}
		})
	}
}

// What one connection may subscribe to is bounded by the headers that carry it.
func TestSubscriptionsAreBounded(t *testing.T) {
	b := newBench(t)
	topics := make([]string, 40)
	for i := range topics {
		topics[i] = fmt.Sprintf("%s%d", strings.Repeat("x", 4096-2), i)
	}
	k := openTalk(t, b)
	k.call(hexOf(connect("", apptest.Reader(topics[:12]...))))
	filter := func(topic string) []grip.Event {
		body := "\x00\x01\x00" + field(topic) + "\x20"
		return []grip.Event{{Type: grip.EventBinary, Content: append([]byte{0x82, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}, body...)}}
	}
	for i := range topics[:12] {
		if lines := k.give(filter(topics[i])); !strings.HasPrefix(lines[len(lines)-1], "< 90 04 00 01 00") {
			t.Fatalf("subscription %d: %q", i, lines)
		}
	}
	_ = b.logs()
}

func TestQuickEvents(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	for _, c := range []struct {
		name, frames string
		want         bool
	}{
		{"nothing", "refresh", true},
		{"a ping", "ping", true},
		{"live", "30 09 {test} 00 68 69", true},
		{"several packets", "C0 00 30 09 {test} 00 68 69 C0 00 | C0 00", true},
		{"stored", "31 09 {test} 00 68 69", false},
		{"stored behind another", "C0 00 31 09 {test} 00 68 69", false},
		{"stored in the second frame", "C0 00 | 39 09 {test} 00 68 69", false},
		{"subscribe", "82 0A 00 01 00 {test} 00", true},
		{"the beginning of a packet", "30 09 00", true},
		{"behind the beginning of a packet", "30 09 00 | C0 00", false},
		{"malformed", "30 FF FF FF FF 01 | C0 00", true},
		{"close", "close 03 E8", true},
		{"long", "30 00" + strings.Repeat(" C0 00", 9000), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := b.QuickEvents(k.socket, k.frames(expand(c.frames))); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
