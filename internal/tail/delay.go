package tail

import (
	"bytes"
	"strconv"
	"time"
)

const (
	// sentWithin is how far into a payload a time is looked for.
	sentWithin = 512
	// plausible bounds the distance between that time and ours; a number
	// further away is no time, or no time of sending.
	plausible = time.Hour
)

// sentAt finds when a JSON message says it was sent: a member ts, time,
// timestamp or sent_at near its start, in RFC 3339 or in seconds, milliseconds,
// microseconds or nanoseconds since 1970.
func sentAt(data []byte, now time.Time) (time.Time, bool) {
	if len(data) == 0 || data[0] != '{' {
		return time.Time{}, false
	}
	data = data[:min(len(data), sentWithin)]
	for _, name := range [...]string{`"ts"`, `"time"`, `"timestamp"`, `"sent_at"`} {
		_, rest, found := bytes.Cut(data, []byte(name))
		rest, colon := bytes.CutPrefix(bytes.TrimLeft(rest, " \n\t"), []byte(":"))
		if !found || !colon {
			continue
		}
		if at, ok := parseSent(bytes.TrimLeft(rest, " \n\t")); ok && at.Sub(now).Abs() < plausible {
			return at, true
		}
	}
	return time.Time{}, false
}

func parseSent(value []byte) (time.Time, bool) {
	if text, quoted := bytes.CutPrefix(value, []byte(`"`)); quoted {
		text, _, _ = bytes.Cut(text, []byte(`"`))
		at, err := time.Parse(time.RFC3339, string(text))
		return at, err == nil
	}
	n := 0
	for n < len(value) && (value[n] >= '0' && value[n] <= '9' || value[n] == '.') {
		n++
	}
	whole, _, fraction := bytes.Cut(value[:n], []byte("."))
	v, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	switch { // by magnitude
	case v > 1e17:
		return time.Unix(0, v), true
	case v > 1e14:
		return time.UnixMicro(v), true
	case v > 1e11:
		return time.UnixMilli(v), true
	case !fraction:
		return time.Unix(v, 0), true
	}
	f, err := strconv.ParseFloat(string(value[:n]), 64)
	return time.UnixMicro(int64(f * 1e6)), err == nil
}
