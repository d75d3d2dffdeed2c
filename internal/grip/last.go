package grip

import "strings"

// Last is one Grip-Last value: the id the reader of a channel has seen last.
type Last struct {
	Channel, ID string
}

// ParseLast reads Grip-Last values. Entries without a last-id or with an open
// quote are passed over, as are those past MaxChannels: no session has more.
func ParseLast(values []string) []Last {
	var last []Last
	for _, s := range splitLists(values) {
		e, ok := parseEntry(s)
		if !ok || len(last) == MaxChannels {
			continue
		}
		if id, ok := e.get("last-id"); ok {
			last = append(last, Last{Channel: e.first, ID: id})
		}
	}
	return last
}

// String is the header's value, for one line per channel. An id with
// separators or spaces at its edges is quoted; the channel is written as it is,
// which reads back only if its name could have come from Grip-Channel.
func (l Last) String() string {
	var b strings.Builder
	b.WriteString(l.Channel)
	writeParam(&b, "last-id", l.ID)
	return b.String()
}
