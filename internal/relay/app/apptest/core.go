package apptest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// core is publishing and subscribing: items 1 to 15.
func core() []item {
	return []item{
		{"01 a stream opens and stays open", Setup{}, func(t *testing.T, s *service) {
			s.mark(t, "test", s.open(t, "topic=test", rw))
		}},
		{"02 a publish reaches a stream", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test", rw)
			s.wantText(t, "POST", "/events?topic=test", "hello", rw, 200, "Published\n")
			st.want(t, live("hello"))
		}},
		{"06 every stream gets every message in order", Setup{}, everyMessage},
		{"07 a stored message does not reach a plain stream", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test", rw)
			s.publish(t, "topic=test&retain=true", "hello")
			s.mark(t, "test", st)
		}},
		{"08 a stored message reaches a durable stream", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test&durable=true", rw)
			s.publish(t, "topic=test&retain=true", "hello")
			eventID(t, st.next(t), "test", 1, "hello")
		}},
		{"10 a late durable stream gets the stored message", Setup{}, lateStream},
		{"12 a live message reaches a durable stream without id", Setup{}, liveToDurable},
		{"13 two stored messages have one generation", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test&durable=true", rw)
			s.publish(t, "topic=test&retain=true", "one")
			first := eventID(t, st.next(t), "test", 1, "one")
			s.publish(t, "topic=test&retain=true", "two")
			second := eventID(t, st.next(t), "test", 2, "two")
			if strings.TrimSuffix(first, "-1") != strings.TrimSuffix(second, "-2") {
				t.Errorf("ids %q and %q differ in their generation", first, second)
			}
		}},
		{"14 a durable stream resumes from a header", Setup{}, func(t *testing.T, s *service) {
			resume(t, s, func(id string) *stream {
				return s.open(t, "topic=test&durable=true", append(header{"Last-Event-ID", id}, rw...))
			})
		}},
		{"15 a durable stream resumes from a parameter", Setup{}, func(t *testing.T, s *service) {
			resume(t, s, func(id string) *stream {
				return s.open(t, "topic=test&durable=true&lastEventId="+id, append(header{"Last-Event-ID", "bad"}, rw...))
			})
		}},
	}
}

var idLine = regexp.MustCompile(`^event: message\nid: ([^\n]*)\n`)

// eventID checks that an event is a stored message of one topic and returns its
// id without the padding, fit for resuming.
func eventID(t *testing.T, event, topic string, seq int, data string) string {
	t.Helper()
	m := idLine.FindStringSubmatch(event)
	if m == nil {
		t.Fatalf("event %q has no id", event)
	}
	form := regexp.MustCompile(fmt.Sprintf(`^%s:(?: *[0-9a-f]+)-%d$`, regexp.QuoteMeta(topic), seq))
	if !form.MatchString(m[1]) || len(m[1]) != len(topic)+len(fmt.Sprintf(":0123456789abcdef-%d", seq)) {
		t.Errorf("id %q is not that of message %d of topic %s", m[1], seq, topic)
	}
	if want := saved(m[1], data); event != want {
		t.Errorf("got event %q, want %q", event, want)
	}
	return topic + ":" + strings.TrimLeft(m[1][len(topic)+1:], " ")
}

func everyMessage(t *testing.T, s *service) {
	a, b := s.open(t, "topic=test", rw), s.open(t, "topic=test", rw)
	for i := range 20 {
		s.publish(t, "topic=test", fmt.Sprint(i))
	}
	for i := range 20 {
		a.want(t, live(fmt.Sprint(i)))
		b.want(t, live(fmt.Sprint(i)))
	}
}

func lateStream(t *testing.T, s *service) {
	s.publish(t, "topic=test&retain=true", "hello")
	durable := s.open(t, "topic=test&durable=true", rw)
	eventID(t, durable.next(t), "test", 1, "hello")
	s.mark(t, "test", durable, s.open(t, "topic=test", rw))
}

// liveToDurable sends a stored and a live message at once: whatever their
// order, both arrive, the live one without an id.
func liveToDurable(t *testing.T, s *service) {
	st := s.open(t, "topic=test&durable=true", rw)
	s.mark(t, "test", st)
	s.publish(t, "topic=test&retain=true", "stored")
	s.publish(t, "topic=test", "live")
	got := []string{st.next(t), st.next(t)}
	if got[0] == live("live") {
		got[0], got[1] = got[1], got[0]
	}
	eventID(t, got[0], "test", 1, "stored")
	if got[1] != live("live") {
		t.Errorf("got event %q, want %q", got[1], live("live"))
	}
}

func resume(t *testing.T, s *service, open func(id string) *stream) {
	s.publish(t, "topic=test&retain=true", "one")
	first := eventID(t, s.open(t, "topic=test&durable=true", rw).next(t), "test", 1, "one")
	s.publish(t, "topic=test&retain=true", "two")
	generation := strings.TrimSuffix(first, "-1")
	s.mark(t, "test", open(generation+"-2"))
	eventID(t, open(generation+"-1").next(t), "test", 2, "two")
	eventID(t, open("test:0123-2").next(t), "test", 2, "two")
}
