package apptest

import (
	"strings"
	"testing"
)

// posts is the details of POST /events: items 63 to 72.
func posts() []item {
	return []item{
		{"63 no topic", Setup{}, func(t *testing.T, s *service) {
			for _, query := range []string{"", "?topic", "?retain=true", "?atopic=test", "?%74opic=test", "?ttl=abc"} {
				s.wantText(t, "POST", "/events"+query, "x", nil, 400, "Missing 'topic' param\n")
			}
		}},
		{"64 bad ttl", Setup{}, badTTL},
		{"65 the size of a message", Setup{}, func(t *testing.T, s *service) {
			const text = "Message size exceeds 32512 bytes maximum\n"
			long := strings.Repeat("x", 32512)
			st := s.open(t, "topic=test", rw)
			s.wantText(t, "POST", "/events?topic=test", long, rw, 200, "Published\n")
			st.want(t, live(long))
			s.wantText(t, "POST", "/events?topic=test", long+"x", rw, 400, text)
			s.wantText(t, "POST", "/events?topic=test&retain=true", long+"x", rw, 400, text)
			s.wantText(t, "POST", "/events?topic=test", long+"x", bearer("bad"), 403, "Invalid token\n")
			s.mark(t, "test", st)
		}},
		{"66 topics are not decoded", Setup{}, func(t *testing.T, s *service) { // Quirk Q6
			w := bearer(Writer("a/b"))
			s.wantText(t, "POST", "/events?topic=a%2Fb", "x", w, 403, "Cannot publish to topic: a%2Fb\n")
			s.wantText(t, "POST", "/events?topic=a+b", "x", w, 403, "Cannot publish to topic: a+b\n")
			s.wantText(t, "POST", "/events?topic=a/b", "x", w, 200, "Published\n")
		}},
		{"67 what is not stored", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test", rw)
			for _, query := range []string{"retain=True", "retain=1", "retain", "retain=%74rue", "ttl=5", "ttl=0"} {
				s.publish(t, "topic=test&"+query, query)
				st.want(t, live(query))
			}
			s.mark(t, "test", s.open(t, "topic=test&durable=true", rw))
		}},
		{"68 ttl 0 clears", Setup{}, cleared},
		{"69 no message store", Setup{NoMessagesStore: true}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test&durable=true", rw)
			s.wantText(t, "POST", "/events?topic=test&retain=true", "x", rw, 500, "Failed to write message to storage\n")
			s.mark(t, "test", st)
		}},
		{"70 no publish token", Setup{NoPublishToken: true}, func(t *testing.T, s *service) {
			s.wantText(t, "POST", "/events?topic=test", "lost", rw, 500, "Publish process failed\n")
			s.wantText(t, "POST", "/events?topic=test&retain=true", "kept", rw, 500, "Publish process failed\n")
			eventID(t, s.open(t, "topic=test&durable=true", rw).next(t), "test", 1, "kept")
		}},
		{"71 an empty message is stored", Setup{}, func(t *testing.T, s *service) { // Quirk Q21
			st := s.open(t, "topic=test&durable=true", rw)
			s.publish(t, "topic=test&retain=true", "")
			eventID(t, st.next(t), "test", 1, "")
			eventID(t, s.open(t, "topic=test&durable=true", rw).next(t), "test", 1, "")
		}},
		{"72 the first topic counts", Setup{}, func(t *testing.T, s *service) {
			first, second := s.open(t, "topic=a", admin), s.open(t, "topic=b", admin)
			s.publish(t, "topic=a&topic=b", "x")
			first.want(t, live("x"))
			s.mark(t, "b", second)
		}},
	}
}

func badTTL(t *testing.T, s *service) {
	const (
		digit = "invalid digit found in string"
		large = "number too large to fit in target type"
	)
	for ttl, reason := range map[string]string{
		"":           "cannot parse integer from empty string",
		"4294967296": large, "99999999999999999999999": large,
		"abc": digit, "-5": digit, "1.5": digit, "%35": digit, "+": digit, "-": digit, "++5": digit, "5x": digit,
	} {
		for _, retain := range []string{"", "&retain=true"} {
			s.wantText(t, "POST", "/events?topic=test&ttl="+ttl+retain, "x", nil, 400, "Invalid 'ttl' param: "+reason+"\n")
		}
	}
	for _, ttl := range []string{"+5", "007", "4294967295"} {
		s.wantText(t, "POST", "/events?topic=test&ttl="+ttl, "x", rw, 200, "Published\n")
	}
}

// cleared stores a message and then one that has expired at once. Streams that
// are open, and those opened later, hear of neither the second nor the first
// again; the sequence counts both.
func cleared(t *testing.T, s *service) {
	st := s.open(t, "topic=test&durable=true", rw)
	s.publish(t, "topic=test&retain=true", "one")
	eventID(t, st.next(t), "test", 1, "one")
	s.publish(t, "topic=test&retain=true&ttl=0", "two")
	s.mark(t, "test", st, s.open(t, "topic=test&durable=true", rw))
	s.publish(t, "topic=test&retain=true", "three")
	eventID(t, st.next(t), "test", 3, "three")
}
