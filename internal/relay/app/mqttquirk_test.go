package app_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
)

// The oddities of MQTT that earn a warning: once for each connection, with the
// packet named. The name begins with the quirk.
func TestMQTTQuirksWarnOnce(t *testing.T) {
	long := hexOf(make([]byte, 32513))
	for _, c := range []struct {
		name, frame string
		want        []string
	}{
		{"2 absorbed bytes", "30 09 {test} 00 68 69 C0 00", []string{"mqtt packet misleads", "topic=test", "bytes=2", "PUBLISH took the packets behind it"}},
		{"3 two filters", "82 11 00 01 00 {test} 00 00 04 61 62 63 64 00", []string{`SUBSCRIBE carried 2 filters, only \"test\" counts`}},
		{"3 two filters again", "A2 0F 00 02 00 {test} 00 04 61 62 63 64", []string{`UNSUBSCRIBE carried 2 filters, only \"test\" counts`}},
		{"17 no right", "30 06 00 01 61 00 68 69", []string{"msg=refused", "topic=a", "PUBLISH dropped: the topic is not in x-fastly-write"}},
		{"17 too long", "30 88 FE 01 {test} 00 " + long, []string{"msg=refused", "PUBLISH dropped: the message is longer than 32512 bytes"}},
		{"25 a dollar topic", "30 07 00 02 24 78 00 68 69", []string{"msg=refused", "topic=$x", "begin with $"}},
		{"28 a ping", "ping 01", []string{"websocket ping stays without an answer"}},
		{"35 a carriage return", "30 08 {test} 00 0D", []string{"carriage return", "topic=test"}},
		{"47 a large packet", "C0 80 80 02 " + hexOf(make([]byte, 32768)), []string{"mqtt packet misleads", "bytes=32772", "PINGREQ is larger"}},
		{"51 a packet split over frames", "F0 80 40 | " + hexOf(make([]byte, 8192)), []string{"mqtt packet misleads", "bytes=8192", "split over frames"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			k := openTalk(t, b)
			k.call(expand("{c1}"))
			b.logs()
			k.call(expand(c.frame))
			wantWarning(t, b, c.want...)
			k.call(expand(c.frame))
			wantNoWarning(t, b)
			again := openTalk(t, b)
			again.call(expand("{c1}"))
			b.logs()
			again.call(expand(c.frame))
			wantWarning(t, b, c.want...)
		})
	}
}

// Quirk Q2, to the byte: the packet behind is still handled.
func TestItem91Quirk02AbsorbedBytes(t *testing.T) {
	converse(t, newBench(t), `
		> {c1}
		< {connack}
		> 30 09 {test} 00 68 69 C0 00
		* s:test 30 0B {test} 00 68 69 C0 00 by c1
		< D0 00`)
}

func TestItem79Quirk03OneFilterCounts(t *testing.T) {
	converse(t, newBench(t), `
		> {c1}
		< {connack}
		> 82 11 00 01 00 {test} 00 00 04 61 62 63 64 00
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00
		> A2 0F 00 02 00 {test} 00 04 61 62 63 64
		= unsubscribe s:test
		= unsubscribe d:test
		< 90 04 00 02 00 00`)
}

func TestQuirk12And13OnMQTT(t *testing.T) {
	for name, c := range map[string]struct{ token, want string }{
		"no exp":  {apptest.Claims(`{"x-fastly-read":["test"],"x-fastly-write":["test"]}`), "never expires"},
		"wraps":   {apptest.Claims(`{"exp":8397411895,"x-fastly-read":["test"],"x-fastly-write":["test"]}`), "32 bits"},
		"expired": {mint(time.Now().Add(-time.Minute)), "15 minutes later"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			k := openTalk(t, b)
			k.call(hexOf(connect("", c.token)))
			k.call(expand("30 09 {test} 00 68 69"))
			wantWarning(t, b, c.want)
			k.call(expand("82 0A 00 01 00 {test} 00 | 30 09 {test} 00 68 69"))
			wantNoWarning(t, b)
		})
	}
}

// Quirk Q13, and Q14: a CONNECT with a bad token succeeds, and the log names
// what is wrong with it when it is used.
func TestQuirk14BadTokenIsNamedLater(t *testing.T) {
	for name, c := range map[string]struct{ token, want string }{
		"wraps":       {apptest.TokenWrap, "9999999999"},
		"unknown key": {apptest.TokenBadKid, "kid"},
		"no key":      {apptest.TokenNoKid, "kid"},
		"read only":   {apptest.TokenR, "x-fastly-write"},
		"empty":       {"", "no password"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			k := openTalk(t, b)
			k.call(hexOf(connect("", c.token)))
			wantNoWarning(t, b)
			if got := k.call(expand("30 09 {test} 00 68 69")); len(got) > 0 {
				t.Errorf("got %q", got)
			}
			wantWarning(t, b, "refused", "PUBLISH dropped", c.want)
		})
	}
}

func TestItem76Quirk15SecondConnect(t *testing.T) {
	converse(t, newBench(t), `
		> {c1}
		< {connack}
		> {anonymous}
		< 20 0B 00 82 08 24 00 25 01 28 00 2A 00
		> 30 08 {test} 00 41 | C0 00
		* s:test 30 08 {test} 00 41 by c1
		< D0 00
		> 10 0E 00 04 4D 51 54 54 04 02 00 3C 00 02 63 31
		< 20 02 00 01
		< close 1000`)
}

func TestQuirk16ConnectIsNotNeeded(t *testing.T) {
	converse(t, newBench(t), `
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 87
		> 30 09 {test} 00 68 69
		> A2 09 00 02 00 {test}
		< 90 04 00 02 00 11
		> E0 02 00 00
		> 32 0B {test} 00 01 00 68 69
		< E0 01 9B
		< close 1000`)
}

func TestQuirk17PublishFails(t *testing.T) {
	b := newBench(t)
	b.fanout.err = errBroken
	k := openTalk(t, b)
	k.follow(`
		> {c1}
		< {connack}
		> 30 09 {test} 00 68 69`)
	wantWarning(t, b, "mqtt message not published", "err=broken")
}

// Quirk Q21: an empty message clears nothing, a time to live of zero does.
func TestQuirk21OnMQTT(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	k.follow(`
		> {c1}
		< {connack}
		> 31 07 {test} 00
		* d:test refresh by c1
		> 82 0A 00 01 00 {test} 00
		= subscribe s:test
		= subscribe d:test
		< 90 04 00 01 00 00
		< 31 07 {test} 00
		> 31 0D {test} 05 02 00 00 00 00 41
		* d:test refresh by c1
		> refresh
		> 82 0A 00 01 00 {test} 00
		< 90 04 00 01 00 00`)
}

func TestItem89Quirk24QoS(t *testing.T) {
	for _, c := range []struct{ name, transcript string }{
		{"a small packet id", `
			> 32 0B {test} 00 01 00 68 69 C0 00 32 0B {test} 00 01 00 68 69
			< E0 01 9B
			< D0 00
			< E0 01 9B
			< close 1000`},
		{"a larger one", `
			> 32 0B {test} 01 02 00 68 69
			< close 1000`},
	} {
		t.Run(c.name, func(t *testing.T) { converse(t, newBench(t), c.transcript) })
	}
}

func TestQuirk25DollarTopics(t *testing.T) {
	converse(t, newBench(t), `
		> 32 09 00 02 24 78 00 01 00 68 69
		> C0 00
		< D0 00`)
}

func TestItem101Quirk26ShortDisconnect(t *testing.T) {
	b := newBench(t)
	converse(t, b, `
		> E0 00
		< close 1000`)
	wantWarning(t, b, "mqtt connection closed", "read DISCONNECT: malformed packet")
}

func TestItem102Quirk28NoPong(t *testing.T) {
	converse(t, newBench(t), `
		> ping 01 02 | pong | C0 00
		< D0 00`)
}

func TestItem77Quirk33TextFrames(t *testing.T) {
	converse(t, newBench(t), `
		> text {c1} | text C0
		< {connack}
		~ 1
		> 00
		< D0 00`)
}

// Names that event streams read differently work here, and are warned of.
func TestQuirk36OnMQTT(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	k.call(hexOf(connect("", apptest.Claims(`{"exp":4102444800,"x-fastly-read":["a,b","a:b"]}`))))
	k.follow(`
		> 82 09 00 01 00 00 03 61 3A 62 00
		= subscribe s:a:b
		= subscribe d:a:b
		< 90 04 00 01 00 00`)
	wantNoWarning(t, b)
	k.follow(`
		> 82 09 00 01 00 00 03 61 2C 62 00
		= subscribe s:a,b
		= subscribe d:a,b
		< 90 04 00 01 00 00`)
	wantWarning(t, b, "topic name misleads", "comma")
}

func TestQuirk42BehindARefusedConnect(t *testing.T) {
	converse(t, newBench(t), `
		> 10 0E 00 04 4D 51 54 54 04 02 00 3C 00 02 63 31 C0 00 | C0 00
		< 20 02 00 01
		< D0 00
		< close 1000`)
}

func TestQuirk47LargePacketIsAccepted(t *testing.T) {
	k := openTalk(t, newBench(t))
	if got := k.call("C0 80 80 02 " + hexOf(make([]byte, 32768))); len(got) != 1 || got[0] != "< D0 00" {
		t.Errorf("got %q", got)
	}
}

func TestMQTTLogLines(t *testing.T) {
	b := newBench(t)
	b.fanout.listeners["s:test"] = 4
	k := openTalk(t, b)
	const who = "conn=7 remote=127.0.0.1:1"
	for _, c := range []struct{ frame, want string }{
		{"{c1}", "level=INFO msg=\"mqtt connected\" " + who + "\n"},
		{"82 0A 00 01 00 {test} 00", "level=INFO msg=\"mqtt subscribed\" " + who + " topic=test count=1\n"},
		{"30 09 {test} 00 68 69", "level=INFO msg=\"mqtt published\" " + who + " topic=test bytes=2 delivered=4 of=4\n"},
		{"82 07 00 01 00 00 01 61 00", "level=WARN msg=refused " + who + " topic=a cause=\"SUBACK 0x87: the topic is not in x-fastly-read\"\n"},
		{"C0 00", ""},
	} {
		k.call(expand(c.frame))
		wantLog(t, b, c.want)
	}
}

// No line, and no print of what is kept for a connection, has any part of a
// token or a payload.
func TestMQTTKeepsSecrets(t *testing.T) {
	b := newBench(t)
	for _, tok := range []string{apptest.TokenRW, apptest.TokenExpired, apptest.TokenBadKid, "c2VjcmV0"} {
		k := openTalk(t, b)
		k.call(hexOf(connect("c1", tok)))
		k.call(expand("82 0A 00 01 00 {test} 00 | 31 10 {test} 00 61 20 70 61 79 6C 6F 61 64"))
		text := b.logs() + fmt.Sprintf("%v %+v %#v", k.socket.State, k.socket.State, k.socket.State)
		for part := range strings.SplitSeq(tok+".a payload", ".") {
			if strings.Contains(text, part) {
				t.Errorf("%q is in\n%s", part, text)
			}
		}
	}
}

func TestMQTTLogOff(t *testing.T) {
	b := newBench(t, func(o *app.Options) { o.Log = slog.New(quiet{slog.DiscardHandler, t}) })
	k := openTalk(t, b)
	k.call(expand("{c1} | 82 11 00 01 00 {test} 00 00 04 61 62 63 64 00 | 30 09 {test} 00 0D 69 C0 00 | ping"))
	k.give([]grip.Event{{Type: grip.EventBinary, Content: []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}}})
}
