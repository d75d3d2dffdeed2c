package pubsub

import (
	"fmt"
	"strings"
)

// Position is what a reader already has: for each topic the newest version it
// saw. A topic that is not in the map has none yet.
type Position map[Topic]Version

// PositionError says which part of a resume id cannot be read. It holds what
// the client sent as it was sent, control characters included.
type PositionError struct {
	// NoColon is set when a part has no colon between topic and version;
	// Version is then empty.
	NoColon bool
	// Version is the text that does not parse as one.
	Version string
}

// Error describes the failure in the words of Text, without its line end.
func (e *PositionError) Error() string {
	return "parse resume id: " + strings.TrimSuffix(e.Text(), "\n")
}

// Text is the app's own sentence for a client, line end included (Quirk Q10).
func (e *PositionError) Text() string {
	if e.NoColon {
		return "Last-Event-ID part missing ':'\n"
	}
	return fmt.Sprintf("Last-Event-ID part not a valid version: [%s]\n", e.Version)
}

// ParsePosition reads a resume id: comma-separated parts, each a topic, a colon
// and a version (pubsub-app contract, 4.6). It stops at the first part it
// cannot read, with a *PositionError. A topic named twice keeps its last
// version. The empty string is one part without a colon. The result has at most
// one entry per three bytes of s; limiting s is the caller's business.
func ParsePosition(s string) (Position, error) {
	p := make(Position, 1)
	for part := range strings.SplitSeq(s, ",") {
		topic, text, ok := strings.Cut(part, ":")
		if !ok {
			return nil, &PositionError{NoColon: true}
		}
		v, err := ParseVersion(text)
		if err != nil {
			return nil, &PositionError{Version: text}
		}
		p[Topic(topic)] = v
	}
	return p, nil
}

// AppendID appends the event id for a reader of topics who has p: topic, colon
// and version of each topic that p knows, joined by commas in the order of
// topics. Nothing is appended when p knows none of them. The id is exact, with
// the padding of small generations (Quirk Q5) and without any escaping, so a
// topic with a comma or a colon makes an id that ParsePosition refuses (Q36).
func AppendID(dst []byte, topics []Topic, p Position) []byte {
	start := len(dst)
	for _, t := range topics {
		v, known := p[t]
		if !known {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, t...)
		dst = append(dst, ':')
		dst = v.AppendTo(dst)
	}
	return dst
}

// CleanID makes an event id fit for sending back: it deletes the spaces right
// behind each colon, which the app writes and then refuses (Quirk Q5; 15.4).
func CleanID(id string) string {
	if !strings.Contains(id, ": ") {
		return id
	}
	clean, behindColon := make([]byte, 0, len(id)), false
	for i := range len(id) {
		if id[i] == ' ' && behindColon {
			continue
		}
		behindColon = id[i] == ':'
		clean = append(clean, id[i])
	}
	return string(clean)
}
