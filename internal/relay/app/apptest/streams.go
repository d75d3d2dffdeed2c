package apptest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// asked is what GET /events takes and refuses: items 43 to 49, and 58.
func asked() []item {
	return []item{
		{"43 no topic", Setup{}, func(t *testing.T, s *service) {
			for _, query := range []string{"", "durable=true", "topics=test", "auth=bad"} {
				s.refused(t, query, nil, "bad-request", "Missing 'topic' parameter")
			}
		}},
		{"44 nine topics", Setup{}, nineTopics},
		{"45 the empty topic", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=", rw, "forbidden", "Cannot subscribe to topic: ")
			s.refused(t, "topic", rw, "forbidden", "Cannot subscribe to topic: ")
			s.mark(t, "", s.open(t, "topic=", bearer(Reader(""))))
		}},
		{"46 a resume id without a colon", Setup{}, func(t *testing.T, s *service) {
			for _, query := range []string{"topic=test", "topic=test&durable=true"} { // Quirk Q10
				s.refused(t, query, header{"Last-Event-ID", "foo"}, "bad-request", noColon)
			}
		}},
		{"47 a resume id with a padded version", Setup{}, func(t *testing.T, s *service) {
			for _, v := range []string{" 1-1", "-1", "1-", "1--1", "0x1-1", "10000000000000000-1", "1-18446744073709551616", ""} {
				s.refused(t, "topic=test", header{"Last-Event-ID", "test:" + v}, "bad-request", "Last-Event-ID part not a valid version: ["+v+"]\n")
			}
		}},
		{"48 resume ids that are accepted", Setup{}, func(t *testing.T, s *service) {
			for _, id := range []string{"other:1-1", "test:+1-+1", "test:1-1", "test:D06F-08", "test:1-1,test:2-2"} {
				s.open(t, "topic=test&durable=true", append(header{"Last-Event-ID", id}, rw...))
			}
			s.refused(t, "topic=test", header{"Last-Event-ID", "test:1-1,"}, "bad-request", noColon)
		}},
		{"49 the lastEventId parameter is raw", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=test&lastEventId=", rw, "bad-request", noColon)
			s.refused(t, "topic=test&lastEventId=test%3A1-1", rw, "bad-request", noColon)
		}},
		{"58 topics are form-decoded", Setup{}, func(t *testing.T, s *service) {
			s.mark(t, "a/b", s.open(t, "topic=a%2Fb", admin), s.open(t, "topic=a/b", admin))
			s.refused(t, "topic=a+b", rw, "forbidden", "Cannot subscribe to topic: a b")
			s.open(t, "topic=a+b&topic=a%20b", bearer(Reader("a b")))
		}},
	}
}

// told is what streams say: items 50 to 62.
func told() []item {
	return []item{
		{"50 payloads, live", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=test", rw)
			for _, p := range payloads() {
				s.publish(t, "topic=test", p.data)
				st.want(t, "event: "+p.name+"\n"+p.lines+"\n")
			}
		}},
		{"51 payloads, stored", Setup{}, storedPayloads},
		{"53 topics replay in order", Setup{}, inOrder},
		{"54 an id of the second topic", Setup{}, secondTopic},
		{"55 a topic without a message is not in the id", Setup{}, func(t *testing.T, s *service) {
			s.publish(t, "topic=a&retain=true", "one")
			st := s.open(t, "topic=a&topic=b&durable=true", admin)
			eventID(t, st.next(t), "a", 1, "one")
			s.mark(t, "a", st)
		}},
		{"56 the sequence outlives its message", Setup{}, expires},
		{"57 only true is durable", Setup{}, func(t *testing.T, s *service) {
			s.publish(t, "topic=test&retain=true", "hello")
			for _, durable := range []string{"durable=1", "durable=True", "durable", "durable=%74rue", "durable="} {
				s.mark(t, "test", s.open(t, "topic=test&"+durable, rw))
			}
		}},
		{"59 no message store", Setup{NoMessagesStore: true}, func(t *testing.T, s *service) {
			s.mark(t, "test", s.open(t, "topic=test&durable=true", rw))
		}},
		{"60 an unreadable slot", Setup{Messages: `{"r:test":{"metadata":"{\"version\":1}","data":"x"}}`}, func(t *testing.T, s *service) {
			s.refused(t, "topic=test&durable=true", rw, "internal-server-error", "Failed to read message from storage")
			s.open(t, "topic=test", rw)
		}},
		{"61 a small generation is padded", Setup{Messages: messages(0x123456789abcdef, 1, "saved message")}, padded},
		{"62 ten rapid stored messages", Setup{}, tenStored},
	}
}

// named is topics whose names do something: section 4.7, and item 110.
func named() []item {
	return []item{
		{"4.7 topics that cannot be stored", Setup{}, func(t *testing.T, s *service) {
			s.refused(t, "topic=a%23b&durable=true", admin, "internal-server-error", "Failed to read message from storage")
		}},
		{"4.7 a control character", Setup{}, func(t *testing.T, s *service) {
			s.crashed(t, "GET", "/events?topic=a%01b", admin)
		}},
		{"4.7 spaces around", Setup{}, func(t *testing.T, s *service) {
			s.mark(t, "test", s.open(t, "topic=test+", admin))
		}},
		{"110 a semicolon cuts the channel", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=a%3Bb", bearer(Reader("a;b")))
			s.publish(t, "topic=a;b", "its own")
			s.mark(t, "a", st)
		}},
		{"110 a comma splits the channel", Setup{}, func(t *testing.T, s *service) {
			st := s.open(t, "topic=a%2Cb", bearer(Reader("a,b")))
			s.publish(t, "topic=a,b", "its own")
			s.mark(t, "a", st)
		}},
	}
}

const noColon = "Last-Event-ID part missing ':'\n"

// messages is a message store with one message of the topic test.
func messages(generation uint64, seq int, data string) string {
	meta := fmt.Sprintf(`{"generation":%d,"seq":%d}`, generation, seq)
	return fmt.Sprintf(`{"r:test":{"metadata":%s,"data":%s}}`, quote(meta), quote(data))
}

type payload struct{ data, name, lines string }

// payloads are the rows of section 4.5.
func payloads() []payload {
	return []payload{
		{"hello", "message", "data: hello\n"},
		{"a\nb", "message", "data: a\ndata: b\n"},
		{"a\n", "message", "data: a\ndata: \n"},
		{"", "message", "data: \n"},
		{"a\r\nb", "message", "data: a\r\ndata: b\n"},
		{"a\rb", "message", "data: a\rb\n"},
		{"a\x00b", "message", "data: a\x00b\n"},
		{"\xFF\x00", "message-base64", "data: /wA=\n"},
		{"{\"n\":1}", "message", "data: {\"n\":1}\n"},
	}
}

func storedPayloads(t *testing.T, s *service) {
	id := regexp.MustCompile(`^(event: [a-z0-9-]+\n)id: test:[ 0-9a-f]{16}-[0-9]+\n`)
	for _, p := range payloads() {
		s.publish(t, "topic=test&retain=true", p.data)
		got := s.open(t, "topic=test&durable=true", rw).next(t)
		if want := "event: " + p.name + "\n" + p.lines + "\n"; !id.MatchString(got) || id.ReplaceAllString(got, "$1") != want {
			t.Errorf("got event %q, want %q with an id behind its name", got, want)
		}
	}
}

func nineTopics(t *testing.T, s *service) {
	var nine []string
	for i := range 9 {
		nine = append(nine, fmt.Sprintf("t%d", i))
	}
	query := "topic=" + strings.Join(nine, "&topic=")
	st := s.open(t, query, bearer(Reader(nine...)))
	for _, topic := range nine {
		s.mark(t, topic, st)
	}
	s.refused(t, query+"&topic=t9", nil, "bad-request", "Too many topics")
	s.open(t, strings.Repeat("topic=test&", 12), rw)
}

// twoStored stores a message each of b and a, in this order, and opens a
// durable stream of both.
func twoStored(t *testing.T, s *service, h ...string) *stream {
	s.publish(t, "topic=b&retain=true", "of b")
	s.publish(t, "topic=a&retain=true", "of a")
	return s.open(t, "topic=b&topic=a&durable=true", append(h, admin...))
}

// ids splits a composite id of the topics a and b into its versions.
var ids = regexp.MustCompile(`^event: message\nid: a:([ 0-9a-f]{16}-1),b:([ 0-9a-f]{16}-1)\n`)

func inOrder(t *testing.T, s *service) {
	st := twoStored(t, s)
	first, second := st.next(t), st.next(t)
	m := ids.FindStringSubmatch(second)
	if m == nil {
		t.Fatalf("second event is %q", second)
	}
	if want := saved("a:"+m[1], "of a"); first != want {
		t.Errorf("first event is %q, want %q", first, want)
	}
	if want := saved("a:"+m[1]+",b:"+m[2], "of b"); second != want {
		t.Errorf("second event is %q, want %q", second, want)
	}
}

func secondTopic(t *testing.T, s *service) {
	st := twoStored(t, s)
	st.next(t)
	m := ids.FindStringSubmatch(st.next(t))
	if m == nil {
		t.Fatal("the second event has no composite id")
	}
	resumed := s.open(t, "topic=b&topic=a&durable=true", append(header{"Last-Event-ID", "b:" + strings.TrimLeft(m[2], " ")}, admin...))
	want := saved("a:"+m[1]+",b:"+m[2], "of a")
	resumed.want(t, want)
	s.mark(t, "a", resumed)
}

// expires stores a message for a second, opens streams until one finds it gone,
// and sees the next message go on with the sequence.
func expires(t *testing.T, s *service) {
	s.publish(t, "topic=test&retain=true&ttl=1", "short")
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for replayed := true; replayed; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the message never expired")
		}
		st := s.open(t, "topic=test&durable=true", rw)
		s.publish(t, "topic=test", "mark")
		replayed = st.next(t) != live("mark")
	}
	s.publish(t, "topic=test&retain=true", "next")
	eventID(t, s.open(t, "topic=test&durable=true", rw).next(t), "test", 2, "next")
}

// padded sees the spaces of a small generation, is refused with them (Quirk Q5)
// and resumes without.
func padded(t *testing.T, s *service) {
	s.open(t, "topic=test&durable=true", rw).want(t, saved("test: 123456789abcdef-1", "saved message"))
	s.refused(t, "topic=test&durable=true", header{"Last-Event-ID", "test: 123456789abcdef-1"}, "bad-request",
		"Last-Event-ID part not a valid version: [ 123456789abcdef-1]\n")
	st := s.open(t, "topic=test&durable=true", append(header{"Last-Event-ID", "test:123456789abcdef-1"}, rw...))
	s.publish(t, "topic=test&retain=true", "next")
	st.want(t, saved("test: 123456789abcdef-2", "next"))
}

// tenStored publishes a burst: some of it may be skipped, the last message not.
func tenStored(t *testing.T, s *service) {
	st := s.open(t, "topic=test&durable=true", rw)
	for i := range 10 {
		s.publish(t, "topic=test&retain=true", fmt.Sprintf("m%d", i+1))
	}
	form := regexp.MustCompile(`^event: message\nid: test:[ 0-9a-f]{16}-([0-9]+)\ndata: m([0-9]+)\n\n$`)
	for last := 0; last < 10; {
		e := st.next(t)
		var seq, n int
		m := form.FindStringSubmatch(e)
		if m == nil {
			t.Fatalf("got event %q", e)
		}
		fmt.Sscan(m[1], &seq)
		fmt.Sscan(m[2], &n)
		if seq <= last || seq != n {
			t.Fatalf("got message %d as number %d after number %d", n, seq, last)
		}
		last = seq
	}
}

// keepAlive waits for two keep-alives on an idle stream: item 52.
func keepAlive(t *testing.T, s *service) {
	for _, query := range []string{"topic=test", "topic=test&durable=true"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			st := s.open(t, query, rw)
			for range 2 {
				since := time.Now()
				if e := st.within(t, time.Minute); e != "event: keep-alive\ndata: \n\n" {
					t.Fatalf("got event %q", e)
				}
				// The stream's clock may have started before ours and may be coarse.
				if took := time.Since(since); took < 53*time.Second || took > 56*time.Second {
					t.Errorf("a keep-alive came after %v", took)
				}
			}
		})
	}
}
