package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/app"
	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

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

// Item 84: what is left counts down for later subscribers; item 99: silence
// beyond the keep alive ends nothing.
func TestItem84And99TimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := openTalk(t, newBench(t))
		k.follow(`
			> 10 CF 01 00 04 4D 51 54 54 05 42 00 01 00 00 01 63 00 BF ` + hexOf([]byte(apptest.TokenRW)) + `
			< {connack}
			> 31 0E {test} 05 02 00 00 00 3C 68 69
			* d:test refresh by c
			> 82 0A 00 01 00 {test} 00
			= subscribe s:test
			= subscribe d:test
			< 90 04 00 01 00 00
			< 31 0E {test} 05 02 00 00 00 3C 68 69`)
		time.Sleep(59500 * time.Millisecond)
		k.follow(`
			> 82 0A 00 01 00 {test} 00
			< 90 04 00 01 00 00
			< 31 0E {test} 05 02 00 00 00 00 68 69`)
		time.Sleep(time.Second)
		k.follow(`
			> refresh
			> 82 0A 00 01 00 {test} 00
			< 90 04 00 01 00 00`)
	})
}

// Item 108: a slot that was deleted begins a new generation, which those who
// had the old one take for news.
func TestItem108DeletedAndPublishedAgain(t *testing.T) {
	b := newBench(t)
	k := openTalk(t, b)
	put := func() (version string) {
		b.ask(t, "POST", "/events?topic=test&retain=true", "A", asAdmin, good)
		s, err := b.shelf.Get(t.Context(), "test", pubsub.Version{})
		if err != nil || s.Version.Seq != 1 {
			t.Fatal(s, err)
		}
		return s.Version.String()
	}
	first := put()
	k.call(expand("{c1} | 82 0A 00 01 00 {test} 20"))
	if err := b.shelf.Delete(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	k.follow("> refresh")
	second := put()
	k.follow(`
		> refresh
		< 30 08 {test} 00 41`)
	wantBody(t, b.followUp(t, "d:test", strings.TrimLeft(first, " ")), 200, "event: message\nid: test:"+second+"\ndata: A\n\n")
}

// What a line about one kind of refusal says does not hide the other kind: a
// token that expires is told of even if it never allowed some topic.
func TestQuirk17EachReasonIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		k := openTalk(t, b)
		k.call(hexOf(connect("c1", mint(time.Now().Add(time.Minute)))))
		k.call("30 06 00 01 61 00 68 69")
		wantWarning(t, b, "PUBLISH dropped", "x-fastly-write")
		time.Sleep(pubsub.Grace + time.Hour)
		k.call(expand("30 09 {test} 00 68 69"))
		wantWarning(t, b, "PUBLISH dropped", "topic=test", "exp")
		k.call(expand("30 09 {test} 00 68 69"))
		wantNoWarning(t, b)
	})
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

// What one connection may subscribe to is bounded by the headers that carry it
// in production; before the end there is a warning.
func TestSubscriptionsAreBounded(t *testing.T) {
	b := newBench(t)
	topics := make([]string, 2000)
	for i := range topics {
		topics[i] = fmt.Sprintf("%04d", i)
	}
	k := openTalk(t, b)
	allowed := `{"exp":4102444800,"x-fastly-read":["` + strings.Join(topics, `","`) + `"]}`
	k.call(hexOf(connect("", apptest.Claims(allowed))))
	n := 0
	for ; n < len(topics); n++ {
		if lines := k.give([]grip.Event{{Type: grip.EventBinary, Content: subscribeTo(topics[n])}}); lines[0][0] == '!' {
			break
		}
		switch n {
		case 0: // the token alone is long
			wantWarning(t, b, "mqtt connection has many topics", "header")
		case 10:
			wantWarning(t, b, "mqtt connection has many topics", "first 10", "count=11")
		}
	}
	if n < 1200 || n > 1500 {
		t.Errorf("%d subscriptions were accepted", n)
	}
}

func subscribeTo(topic string) []byte {
	body := "\x00\x01\x00" + field(topic) + "\x20"
	return append(head(0x82, len(body)), body...)
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
