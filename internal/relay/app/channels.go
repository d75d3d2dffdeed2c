package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// channels is what the proxy subscribes the stream to: for each topic the live
// channel and, if the stream is durable, the signalling one with the version
// the reader has as its prev-id.
func (s *stream) channels() ([]grip.Channel, error) {
	list := make([]grip.Channel, 0, 2*len(s.topics))
	for _, t := range s.topics {
		list = append(list, grip.Channel{Name: t.Live()})
		if s.durable {
			list = append(list, grip.Channel{Name: t.Durable(), PrevID: s.prevID(t)})
		}
	}
	if slices.ContainsFunc(s.topics, bends) {
		return asHeader(list)
	}
	return list, nil
}

// prevID is the version as the proxy hands it back: without the spaces the app
// pads it with (section 4.6), because the proxy trims what it reads.
func (s *stream) prevID(t pubsub.Topic) string {
	v, ok := s.seen[t]
	if !ok {
		return none
	}
	var room [40]byte
	return string(v.AppendBare(room[:0]))
}

// bends reports whether a name changes on its way through a Grip-Channel header.
func bends(t pubsub.Topic) bool {
	name := string(t)
	return strings.ContainsAny(name, `,;"`) || strings.Trim(name, " \t") != name
}

// asHeader is what remains of the channels once they were written into
// Grip-Channel headers as the app writes them, unquoted, and read by the proxy:
// a name is split at commas, cut at semicolons and trimmed (Quirk Q36).
func asHeader(list []grip.Channel) ([]grip.Channel, error) {
	lines := make([]string, len(list))
	for i, c := range list {
		lines[i] = c.Name
		if c.PrevID != "" {
			lines[i] += "; prev-id=" + c.PrevID
		}
	}
	read, err := grip.ParseChannels(lines)
	if err != nil {
		return nil, fmt.Errorf("read back channels: %w", err)
	}
	return distinct(read[:min(len(read), grip.MaxChannels)]), nil
}

// distinct keeps one channel of each name, where the first stood and as the
// last says: topics that are cut may end on the same channel.
func distinct(list []grip.Channel) []grip.Channel {
	kept := list[:0]
	for _, c := range list {
		i := slices.IndexFunc(kept, func(k grip.Channel) bool { return k.Name == c.Name })
		if i < 0 {
			kept = append(kept, c)
			continue
		}
		kept[i] = c
	}
	return kept
}

// illegalName refuses a topic that cannot be written into a header at all,
// which the app does not survive.
func (s *stream) illegalName() *refusal {
	for _, t := range s.topics {
		for i := range len(t) {
			if t[i] < ' ' && t[i] != '\t' || t[i] == 0x7f {
				return crashed("a topic has a control character")
			}
		}
	}
	return nil
}

// resumed is the stream behind a follow-up, as its channels tell. Channels that
// are no topic's, left over from a name that was split, are passed over.
func resumed(last []grip.Last) (*stream, *refusal) {
	s := &stream{durable: true, seen: make(pubsub.Position, len(last))}
	for _, l := range last {
		if !visible(l.Channel) {
			return s, crashed("a topic has a byte outside visible ASCII, which a follow-up cannot carry") // Quirk Q37
		}
		name, ok := strings.CutPrefix(l.Channel, "d:")
		if !ok {
			continue
		}
		s.topics = append(s.topics, pubsub.Topic(name))
		if l.ID == none {
			continue
		}
		v, err := pubsub.ParseVersion(strings.TrimLeft(l.ID, " "))
		if err != nil {
			return s, crashed("a follow-up has an id that is not a version")
		}
		s.seen[pubsub.Topic(name)] = v
	}
	slices.Sort(s.topics)
	s.topics = slices.Compact(s.topics)
	return s, nil
}
