package grip

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AppendHeader adds in to h as Grip-* headers, the way an origin would send it;
// h should hold none yet, as of two values for one setting the first counts.
// Timeouts are rounded up to whole seconds and raised to what ParseInstruct
// accepts. If the headers would not read back as in, h is unchanged and the
// error is ErrUnwritable: names with commas or semicolons outside quotes, line
// breaks, more than MaxChannels channels, URIs with commas, and so on.
func (in *Instruct) AppendHeader(h http.Header) error {
	out := in.header()
	for _, values := range out {
		if slices.ContainsFunc(values, func(v string) bool { return !fieldSafe(v) }) {
			return ErrUnwritable
		}
	}
	back, err := ParseInstruct(out)
	if err != nil || !reflect.DeepEqual(in.normal(), back) {
		return ErrUnwritable
	}
	for name, values := range out {
		h[name] = append(h[name], values...)
	}
	return nil
}

func (in *Instruct) header() http.Header {
	h := make(http.Header)
	if hold := in.Hold.String(); hold != "" {
		h.Set("Grip-Hold", hold)
	}
	for _, c := range in.Channels {
		h.Add("Grip-Channel", c.header())
	}
	if in.Timeout != 0 {
		h.Set("Grip-Timeout", formatSeconds(in.Timeout))
	}
	if len(in.KeepAlive.Data) != 0 {
		h.Set("Grip-Keep-Alive", in.KeepAlive.header())
	}
	if len(in.Meta) != 0 {
		h.Set("Grip-Set-Meta", in.metaHeader())
	}
	if in.Status != 0 {
		h.Set("Grip-Status", strings.TrimSuffix(strconv.Itoa(in.Status)+" "+in.Reason, " "))
	}
	in.linkHeader(h)
	for _, name := range in.Expose {
		h.Add("Grip-Expose-Headers", name)
	}
	if len(h) == 0 {
		// Without a Grip-* header the response would not be an instruction.
		h.Set("Grip-Set-Meta", "")
	}
	return h
}

// String is the mode as Grip-Hold spells it, empty for None.
func (m Mode) String() string {
	switch m {
	case Response:
		return "response"
	case Stream:
		return "stream"
	}
	return ""
}

// header is the channel's entry. One without a name is still a channel, and a
// bare semicolon keeps its entry from being empty.
func (c Channel) header() string {
	if c.Name == "" && c.PrevID == "" && len(c.Filters) == 0 {
		return ";"
	}
	var b strings.Builder
	b.WriteString(c.Name)
	if c.PrevID != "" {
		writeParam(&b, "prev-id", c.PrevID)
	}
	for _, f := range c.Filters {
		writeParam(&b, "filter", f)
	}
	return b.String()
}

func (k KeepAlive) header() string {
	var b strings.Builder
	if data := string(k.Data); rawSafe(data) {
		b.WriteString(data)
	} else {
		writeCString(&b, k.Data)
		writeParam(&b, "format", "cstring")
	}
	if k.Timeout != 0 {
		writeParam(&b, "timeout", formatSeconds(k.Timeout))
	}
	if k.Interval {
		writeParam(&b, "mode", keepAliveInterval)
	}
	return b.String()
}

func (in *Instruct) metaHeader() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(in.Meta)) {
		if b.Len() != 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + "=")
		writeQuoted(&b, in.Meta[name])
	}
	return b.String()
}

func (in *Instruct) linkHeader(h http.Header) {
	if in.Next.URI != "" {
		var b strings.Builder
		b.WriteString("<" + in.Next.URI + ">; rel=next")
		if in.Next.Timeout != 0 {
			writeParam(&b, "timeout", formatSeconds(in.Next.Timeout))
		}
		h.Add("Grip-Link", b.String())
	}
	if in.Gone != "" {
		h.Add("Grip-Link", "<"+in.Gone+">; rel=gone")
	}
}

func formatSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(wholeSeconds(d)/time.Second), 10)
}

func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// normal is what in reads as after a trip over the wire.
func (in *Instruct) normal() *Instruct {
	out := *in
	out.Channels = slices.Clone(nilIfEmpty(in.Channels))
	for i := range out.Channels {
		out.Channels[i].Filters = nilIfEmpty(out.Channels[i].Filters)
	}
	out.Expose = nilIfEmpty(in.Expose)
	if len(in.Meta) == 0 {
		out.Meta = nil
	}
	if in.Status == 0 {
		out.Reason = ""
	}
	out.normalTimeouts()
	return &out
}

func (in *Instruct) normalTimeouts() {
	if in.Timeout != 0 {
		in.Timeout = max(wholeSeconds(in.Timeout), minTimeout)
	} else if in.Hold == Response {
		in.Timeout = DefaultTimeout
	}
	k := &in.KeepAlive
	switch {
	case len(k.Data) == 0:
		*k = KeepAlive{}
	case k.Timeout == 0:
		k.Timeout = DefaultTimeout
	default:
		k.Timeout = max(wholeSeconds(k.Timeout), minKeepAlive)
	}
	switch {
	case in.Next.URI == "":
		in.Next = Link{}
	case in.Next.Timeout != 0:
		in.Next.Timeout = max(wholeSeconds(in.Next.Timeout), minNext)
	}
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}
