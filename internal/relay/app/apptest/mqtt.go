package apptest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const hello, hi = "30 0C 00 04 74 65 73 74 00 68 65 6C 6C 6F", "30 09 00 04 74 65 73 74 00 68 69"

// mqttCore is the two protocols on one topic: items 3 to 11.
func mqttCore() []item {
	return []item{
		{"03 a POST reaches MQTT", Setup{}, func(t *testing.T, s *service) {
			m := s.joined(t, "c1", "00")
			s.wantText(t, "POST", "/events?topic=test", "hello", rw, 200, "Published\n")
			m.want(t, hello)
		}},
		{"04 and 05 MQTT reaches streams, MQTT and itself", Setup{}, func(t *testing.T, s *service) {
			st, other, m := s.open(t, "topic=test", rw), s.joined(t, "c2", "00"), s.joined(t, "c1", "00")
			m.talk(t, "> "+hi+"\n< "+hi)
			other.want(t, hi)
			st.want(t, live("hi"))
		}},
		{"06 everybody gets every message in order", Setup{}, everybody},
		{"07 and 09 a stored message over MQTT", Setup{}, func(t *testing.T, s *service) {
			st, plain, kept := s.open(t, "topic=test", rw), s.joined(t, "c1", "00"), s.joined(t, "c2", "08")
			s.publish(t, "topic=test&retain=true", "hello")
			plain.want(t, hello)
			kept.want(t, "31"+hello[2:])
			s.mark(t, "test", st)
			m := s.joined(t, "c1", "20")
			m.talk(t, "> 31 09 {test} 00 68 69\n< "+hi)
			plain.talk(t, "< "+published("mark")+"\n< "+hi)
			s.mark(t, "test", st)
		}},
		{"08 a message stored over MQTT reaches a durable stream", Setup{}, func(t *testing.T, s *service) {
			st, m := s.open(t, "topic=test&durable=true", rw), s.dial(t, "mqtt")
			m.talk(t, "> {c1}\n< {connack}\n> 31 09 {test} 00 68 69")
			eventID(t, st.next(t), "test", 1, "hi")
		}},
		{"11 and 83 the stored message of a new subscription", Setup{}, func(t *testing.T, s *service) {
			s.publish(t, "topic=test&retain=true", "hello")
			for range 2 { // 83: again with each SUBSCRIBE
				m := s.joined(t, "c1", "00")
				m.talk(t, "< 31"+hello[2:]+"\n> {subscribe}\n< 90 04 00 01 00 00\n< 31"+hello[2:])
			}
			for _, options := range []string{"10", "20", "30"} {
				s.joined(t, "c1", options).talk(t, "> C0 00\n< D0 00")
			}
		}},
		{"31 a token expires under a connection", Setup{}, expiresUnder},
		{"41 mqtt cannot be off", config("mqtt", "false", "sse", "false"), func(t *testing.T, s *service) { s.joined(t, "c1", "00") }},
		{"68 and 71 clearing, and an empty message", Setup{}, func(t *testing.T, s *service) {
			m := s.joined(t, "c1", "08")
			s.publish(t, "topic=test&retain=true", "")
			m.want(t, packet(0x31, ""))
			late := s.joined(t, "c2", "00")
			late.want(t, packet(0x31, ""))
			s.publish(t, "topic=test&retain=true&ttl=0", "x")
			s.markSockets(t, m, late)
			s.joined(t, "c2", "00").talk(t, "> C0 00\n< D0 00")
		}},
	}
}

func everybody(t *testing.T, s *service) {
	streams := []*stream{s.open(t, "topic=test", rw), s.open(t, "topic=test", rw)}
	m, other := s.joined(t, "c1", "00"), s.joined(t, "c2", "00")
	for i := range 10 {
		s.publish(t, "topic=test", fmt.Sprint("post", i))
	}
	for i := range 10 {
		m.say(t, published(fmt.Sprint("mqtt", i)))
	}
	for _, from := range []string{"post", "mqtt"} {
		for i := range 10 {
			data := fmt.Sprint(from, i)
			streams[0].want(t, live(data))
			streams[1].want(t, live(data))
			m.want(t, published(data))
			other.want(t, published(data))
		}
	}
}

// expiresUnder connects in the last seconds of a token's grace and waits until
// new subscriptions are refused.
func expiresUnder(t *testing.T, s *service) {
	claims := fmt.Sprintf(`{"exp":%d,"x-fastly-read":["test"],"x-fastly-write":["test"]}`, time.Now().Unix()-898)
	m, other := s.dial(t), s.dial(t)
	m.write(t, fin|opBinary, connect("c1", Claims(claims)))
	other.write(t, fin|opBinary, connect("c2", Claims(claims)))
	m.talk(t, "< {connack}\n> {subscribe}\n< 90 04 00 01 00 00")
	other.want(t, expand("{connack}"))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for refused, deadline := false, time.After(patience); !refused; {
		select {
		case <-tick.C:
			other.say(t, expand("{subscribe}"))
			refused = other.next(t) == "90 04 00 01 00 87"
		case <-deadline:
			t.Fatal("the token never expired")
		}
	}
	other.talk(t, "> "+hi+"\n> C0 00\n< D0 00")
	s.markSockets(t, m)
}

// mqttTalk is items of which one connection shows everything.
func mqttTalk() []item {
	items := []item{}
	for _, c := range []struct{ name, transcript string }{
		{"74 CONNECT", "> {c1}\n< {connack}"},
		{"74 a garbage password", "> 10 12 00 04 4D 51 54 54 05 42 00 3C 00 00 02 63 31 00 01 78\n< {connack}"},
		{"74 no password", "> 10 0F 00 04 4D 51 54 54 05 02 00 3C 00 00 02 63 31\n< {connack}"},
		{"75 version 3.1.1", "> 10 0E 00 04 4D 51 54 54 04 02 00 3C 00 02 63 31\n< 20 02 00 01\n< close 1000"},
		{"75 version 6", "> 10 07 00 04 4D 51 54 54 06\n< 20 0B 00 84 08 24 00 25 01 28 00 2A 00\n< close 1000"},
		{"75 version 3.1", "> 10 10 00 06 4D 51 49 73 64 70 03 02 00 3C 00 02 63 31\n< close 1000"},
		{"76 a second CONNECT", "> {c1}\n< {connack}\n> {c1}\n< 20 0B 00 82 08 24 00 25 01 28 00 2A 00\n> C0 00\n< D0 00"},
		{"77 text frames", "> text {c1}\n< {connack}"},
		{"78 filters that are refused", `
			> 82 07 00 01 00 00 01 23 00
			< 90 04 00 01 00 A2
			> 82 0A 00 01 00 {test} 00
			< 90 04 00 01 00 87
			> {c1}
			< {connack}
			> 82 09 00 01 00 00 03 61 2F 2B 00
			< 90 04 00 01 00 A2
			> 82 09 00 01 00 00 03 61 2B 62 00
			< 90 04 00 01 00 A2
			> 82 06 00 01 00 00 00 00
			< 90 04 00 01 00 80
			> 82 07 00 01 00 00 01 61 00
			< 90 04 00 01 00 87`},
		{"81 QoS 1 is granted as 0", "> {c1}\n< {connack}\n> 82 0C 00 01 02 0B 05 {test} 29\n< 90 04 00 01 00 00\n> 32 0B {test} 00 01 00 68 69\n< E0 01 9B\n< close 1000"},
		{"82 flags", "> 80 0A 00 01 00 {test} 00\n< close 1000"},
		{"82 no filter", "> 82 03 00 01 00\n< close 1000"},
		{"89 QoS 1", "> {c1}\n< {connack}\n> 32 0B {test} 00 01 00 68 69\n< E0 01 9B\n< close 1000"},
		{"89 a larger packet id", "> {c1}\n< {connack}\n> 32 0B {test} 01 02 00 68 69\n< close 1000"},
		{"89 a dollar topic", "> {c1}\n< {connack}\n> 32 09 00 02 24 78 00 01 00 68 69\n> C0 00\n< D0 00"},
		{"93 one packet in three frames", "> C0\n> 01\n> 00 C0 00 C0 00\n< D0 00\n< D0 00\n< D0 00"},
		{"97 an unknown property", "> 30 08 00 01 61 02 99 00 68 69\n< close 1000"},
		{"97 a bad length", "> 30 FF FF FF FF 01\n< close 1000"},
		{"97 a topic that is not UTF-8", "> 30 04 00 01 FF 00\n< close 1000"},
		{"98 what comes before is answered", "> C0 00 C0 00 30 FF FF FF FF 01\n< D0 00\n< D0 00\n< close 1000"},
		{"99 before CONNECT", "> C0 00\n< D0 00"},
		{"100 types that are passed over", "> F0 00\n> 40 02 00 01\n> 00 00\n> C0 00\n< D0 00"},
		{"101 a short DISCONNECT", "> {c1}\n< {connack}\n> E0 00\n< close 1000"},
		{"102 no PONG", "> ping 01 02\n> C0 00\n< D0 00"},
		{"102 close 1000", "> close 03 E8\n< close 1000\n< end"},
		{"102 close 1001", "> close 03 E9\n< close 1001\n< end"},
		{"102 close 4000", "> close 0F A0 62 79 65\n< close 4000 bye\n< end"},
	} {
		items = append(items, item{c.name, Setup{}, func(t *testing.T, s *service) { s.dial(t).talk(t, c.transcript) }})
	}
	return items
}

// mqttListen is what subscribers get: items 73 to 88, and 103 to 107.
func mqttListen() []item {
	return []item{
		{"73 the subprotocol", Setup{}, func(t *testing.T, s *service) {
			for offer, want := range map[string]string{"mqtt": "mqtt", "mqttv3.1, mqtt": "mqtt", "mqtt, mqttv3.1": "", "mqtt,foo": ""} {
				if got := s.dial(t, offer).protocol; got != want {
					t.Errorf("%q selects %q, want %q", offer, got, want)
				}
			}
			if got := s.dial(t).protocol; got != "" {
				t.Errorf("without an offer %q is selected", got)
			}
		}},
		{"79 one filter counts", Setup{}, func(t *testing.T, s *service) { // Quirk Q3
			m := s.dial(t)
			m.write(t, fin|opBinary, connect("c1", Reader("test", "abcd")))
			m.talk(t, "< {connack}\n> 82 11 00 01 00 {test} 00 00 04 61 62 63 64 00\n< 90 04 00 01 00 00")
			s.publish(t, "topic=abcd", "x")
			s.markSockets(t, m)
		}},
		{"80 and 94 properties are dropped", Setup{}, func(t *testing.T, s *service) {
			m := s.dial(t)
			m.talk(t, "> {c1}\n< {connack}\n> 82 0C 00 01 02 0B 05 {test} 00\n< 90 04 00 01 00 00\n"+
				"> 30 1A {test} 11 26 00 01 61 00 01 62 03 00 01 74 08 00 01 72 01 01 68 69\n< "+hi)
		}},
		{"84 and 95 the seconds left", Setup{}, secondsLeft},
		{"85 no local", Setup{}, noLocal},
		{"86 no local without a client id", Setup{}, func(t *testing.T, s *service) {
			s.joined(t, "anonymous", "04").talk(t, "> "+hi+"\n< "+hi)
		}},
		{"87 UNSUBSCRIBE", Setup{}, func(t *testing.T, s *service) { // Quirk Q4
			m, other := s.joined(t, "c1", "00"), s.joined(t, "c2", "00")
			m.talk(t, "> A2 09 00 02 00 {test}\n< 90 04 00 02 00 00")
			s.markSockets(t, other)
			s.publish(t, "topic=test&retain=true", "x")
			m.talk(t, "> A2 09 00 02 00 {test}\n< 90 04 00 02 00 11")
		}},
		{"88 an unreadable slot", Setup{Messages: `{"r:test":{"metadata":"{\"version\":1}","data":"x"}}`}, func(t *testing.T, s *service) {
			m := s.dial(t)
			m.talk(t, "> {c1}\n< {connack}\n> {subscribe}\n< 90 04 00 01 00 80")
			s.publish(t, "topic=test", "x")
			m.talk(t, "> C0 00\n< D0 00")
		}},
		{"88 and 96 no message store", Setup{NoMessagesStore: true}, func(t *testing.T, s *service) { // Quirk Q18
			st, m := s.open(t, "topic=test", rw), s.joined(t, "c1", "08")
			m.talk(t, "> 31 0E {test} 05 02 00 00 00 3C 68 69\n< "+hi)
			st.want(t, live("hi"))
		}},
		{"101 DISCONNECT ends deliveries", Setup{}, func(t *testing.T, s *service) { // Quirk Q26
			m, other := s.joined(t, "c1", "00"), s.joined(t, "c2", "00")
			m.talk(t, "> E0 02 00 00\n> C0 00\n< D0 00")
			s.markSockets(t, other)
			m.talk(t, "> {c1}\n< {connack}")
		}},
		{"103 no will", Setup{}, func(t *testing.T, s *service) {
			other, m := s.joined(t, "c2", "00"), s.dial(t)
			token := hexOf(field(TokenRW))
			m.talk(t, "> 10 DD 01 00 04 4D 51 54 54 05 46 00 3C 00 00 02 63 31 00 {test} 00 04 77 69 6C 6C "+token+"\n< {connack}")
			if err := m.body.Close(); err != nil {
				t.Fatal(err)
			}
			m.want(t, "end")
			s.markSockets(t, other)
		}},
		{"104 one client id twice", Setup{}, func(t *testing.T, s *service) {
			s.markSockets(t, s.joined(t, "c1", "00"), s.joined(t, "c1", "00"))
		}},
		{"105 a stored message comes before PINGRESP", Setup{}, func(t *testing.T, s *service) {
			m := s.joined(t, "c1", "00")
			for i := range 10 {
				s.publish(t, "topic=test&retain=true", fmt.Sprint("m", i))
				m.talk(t, "> C0 00\n< "+published(fmt.Sprint("m", i))+"\n< D0 00")
			}
			s.publish(t, "topic=test&retain=true", "idle")
			m.want(t, published("idle"))
		}},
		{"107 a SUBACK is a subscription", Setup{}, func(t *testing.T, s *service) {
			for range 40 {
				s.markSockets(t, s.joined(t, "c1", "00"))
			}
		}},
	}
}

func secondsLeft(t *testing.T, s *service) {
	m := s.joined(t, "c2", "00")
	m.talk(t, "> 31 0E {test} 05 02 00 00 00 3C 68 69")
	wantSeconds(t, m.next(t), "30")
	wantSeconds(t, s.joined(t, "c1", "00").next(t), "31")
	m.talk(t, "> 31 0E {test} 05 02 00 00 00 00 68 69\n> C0 00\n< D0 00")
	s.joined(t, "c1", "00").talk(t, "> C0 00\n< D0 00")
}

// wantSeconds checks a packet of which a minute was left a moment ago.
func wantSeconds(t *testing.T, got, head string) {
	t.Helper()
	form := head + " 0E 00 04 74 65 73 74 05 02 00 00 00 %s 68 69"
	if got != fmt.Sprintf(form, "3B") && got != fmt.Sprintf(form, "3C") {
		t.Errorf("got %s", got)
	}
}

func noLocal(t *testing.T, s *service) { // Quirks Q19, Q20
	m, other := s.joined(t, "c1", "04"), s.joined(t, "c2", "00")
	m.say(t, published("its own"))
	other.talk(t, "< "+published("its own")+"\n> "+published("of c2"))
	m.want(t, published("of c2"))
	s.markSockets(t, m)
	m.talk(t, "> "+packet(0x31, "stored")+"\n< "+published("stored"))
}

// mqttPublish is items 90 to 92, and 109.
func mqttPublish() []item {
	return []item{
		{"90 messages that vanish", Setup{}, func(t *testing.T, s *service) { // Quirk Q17
			m, st := s.joined(t, "c1", "00"), s.open(t, "topic=other&topic=test&topic=$x&topic=", admin)
			m.write(t, fin|opBinary, slicesOf([]byte{0x30}, length(7+32513), field("test"), []byte{0}, make([]byte, 32513)))
			m.talk(t, "> 30 0A 00 05 6F 74 68 65 72 00 68 69\n> 30 07 00 02 24 78 00 68 69\n> 30 0A 00 00 03 23 00 01 68 69 68 69\n> C0 00\n< D0 00")
			s.markSockets(t, m)
			st.want(t, live("mark"))
		}},
		{"90 the longest message", Setup{}, func(t *testing.T, s *service) {
			m, long := s.joined(t, "c1", "00"), strings.Repeat("x", 32512)
			st := s.open(t, "topic=test", rw)
			m.talk(t, "> "+published(long)+"\n< "+published(long))
			st.want(t, live(long))
		}},
		{"7.2 frames of any size, and in fragments", Setup{}, func(t *testing.T, s *service) {
			k := s.dial(t)
			for _, size := range []int{150_000, 300_000} { // the types that are passed over may be as long as they like
				k.write(t, fin|opBinary, slicesOf([]byte{0xF0}, length(size), make([]byte, size), []byte{0xC0, 0}))
				k.want(t, "D0 00")
			}
			k.write(t, opBinary, []byte{0xC0})
			k.write(t, opContinued, []byte{0, 0xC0})
			k.write(t, fin|opPing, nil)
			k.write(t, fin|opContinued, []byte{0})
			k.talk(t, "< D0 00\n< D0 00")
		}},
		{"91 and 92 a payload takes what follows it", Setup{}, func(t *testing.T, s *service) { // Quirk Q2
			m, other := s.dial(t), s.joined(t, "c2", "00")
			m.talk(t, "> {c1}\n< {connack}\n> "+hi+" C0 00\n< D0 00\n> "+hi+"\n> C0 00\n< D0 00")
			other.talk(t, "< 30 0B {test} 00 68 69 C0 00\n< "+hi)
		}},
		{"109 no publish token", Setup{NoPublishToken: true}, func(t *testing.T, s *service) { // Quirk Q41
			m, other := s.dial(t), s.joined(t, "c2", "00")
			m.talk(t, "> {c1}\n< {connack}\n> "+hi+"\n< "+hi+"\n> {subscribe}\n< 90 04 00 01 00 00\n> "+hi+"\n< "+hi)
			s.joined(t, "c1", "04").talk(t, "> "+hi+"\n> C0 00\n< D0 00")
			other.talk(t, "> C0 00\n< D0 00")
		}},
	}
}
