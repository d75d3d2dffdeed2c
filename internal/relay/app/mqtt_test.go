package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
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
			* s:test 30 0A {test} 00 68 69 C0 by c1
			~ 1
			> 00
			< D0 00`},
		{"94 properties are dropped", `
			> {c1}
			< {connack}
			> 30 1A {test} 11 26 00 01 61 00 01 62 03 00 01 74 08 00 01 72 01 01 68 69
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
