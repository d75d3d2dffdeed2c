package grip

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// IsHeader reports whether a header of that name, in any case, belongs to GRIP:
// it triggers instructions and never reaches the client.
func IsHeader(name string) bool {
	const prefix = "Grip-"
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// ParseInstruct reads the Grip-* headers of a response. It returns nil without
// an error if there are none. The names in h must be canonical, as net/http
// makes them. A refusal is a Reason.
//
// Unknown Grip-* headers and links count as instructions and are otherwise
// ignored. Unlike Pushpin, which passes over an entry whose quotes do not close,
// it refuses the header: a lost subscription is hard to find.
func ParseInstruct(h http.Header) (*Instruct, error) {
	for name := range h {
		if IsHeader(name) {
			in := new(Instruct)
			if err := in.readHeader(h); err != nil {
				return nil, err
			}
			in.finish()
			return in, nil
		}
	}
	return nil, nil
}

// readHeader reads in Pushpin's order, so that of several faults the same one
// is reported.
func (in *Instruct) readHeader(h http.Header) error {
	steps := [...]func(http.Header) error{in.readHold, in.readChannels, in.readTimeout, in.readKeepAlive,
		in.readMeta, in.readStatus, in.readLinks}
	for _, step := range steps {
		if err := step(h); err != nil {
			return err
		}
	}
	in.Expose = splitLists(h.Values("Grip-Expose-Headers"))
	return nil
}

func (in *Instruct) readHold(h http.Header) error {
	v := h.Values("Grip-Hold")
	switch {
	case len(v) == 0:
	case v[0] == "response":
		in.Hold = Response
	case v[0] == "stream":
		in.Hold = Stream
	default:
		return Reason("Grip-Hold must be set to either 'response' or 'stream'")
	}
	return nil
}

func (in *Instruct) readChannels(h http.Header) (err error) {
	in.Channels, err = ParseChannels(h.Values("Grip-Channel"))
	return err
}

// ParseChannels reads Grip-Channel values: a channel ends at the first comma
// outside quotes, its name at the first semicolon, and a quoted name keeps its
// quotes. All channels are returned, also those past MaxChannels.
func ParseChannels(values []string) ([]Channel, error) {
	var channels []Channel
	for _, s := range splitLists(values) {
		e, ok := parseEntry(s)
		if !ok {
			return nil, Reason("failed to parse Grip-Channel")
		}
		c := Channel{Name: e.first}
		c.PrevID, _ = e.get("prev-id")
		for _, p := range e.params {
			// The one parameter whose name must be in lower case.
			if p.name == "filter" {
				c.Filters = append(c.Filters, p.value)
			}
		}
		if err := c.check(); err != nil {
			return nil, err
		}
		channels = append(channels, c)
	}
	return channels, nil
}

func (c Channel) check() error {
	if len(c.Filters) > MaxFilters {
		return Reason(fmt.Sprintf("too many filters for channel '%s'", c.Name))
	}
	return nil
}

func (in *Instruct) readTimeout(h http.Header) error {
	v := h.Values("Grip-Timeout")
	if len(v) == 0 {
		return nil
	}
	d, ok := parseSeconds(v[0])
	if !ok {
		return Reason("failed to parse Grip-Timeout")
	}
	if d < 0 {
		return Reason("Grip-Timeout has invalid value")
	}
	in.Timeout = max(d, minTimeout)
	return nil
}

// parseSeconds reads whole seconds of 32 bits, so that no sum overflows.
func parseSeconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseInt(trim(s), 10, 32)
	return time.Duration(n) * time.Second, err == nil
}

// readMeta takes the first pair of each entry; what follows its semicolon is
// ignored.
func (in *Instruct) readMeta(h http.Header) error {
	for _, s := range splitLists(h.Values("Grip-Set-Meta")) {
		params, ok := parseParams(s)
		if !ok {
			return Reason("failed to parse Grip-Set-Meta")
		}
		in.setMeta(params[0].name, params[0].value)
	}
	return nil
}

func (in *Instruct) setMeta(name, value string) {
	if in.Meta == nil {
		in.Meta = make(map[string]string)
	}
	in.Meta[name] = value
}

func (in *Instruct) readStatus(h http.Header) error {
	v := h.Get("Grip-Status")
	if v == "" {
		return nil
	}
	code, reason, _ := strings.Cut(v, " ")
	n, err := strconv.Atoi(code)
	if err != nil || n < 0 || n > maxStatus {
		return Reason("Grip-Status contains invalid status code")
	}
	if n != 0 {
		in.Status, in.Reason = n, trim(reason)
	}
	return nil
}

func (in *Instruct) readLinks(h http.Header) error {
	for _, s := range splitLists(h.Values("Grip-Link")) {
		if err := in.readLink(s); err != nil {
			return err
		}
	}
	return nil
}

// readLink ignores a link without parameters or with an unknown rel, and takes
// the last of several with the same rel.
func (in *Instruct) readLink(s string) error {
	e, ok := parseEntry(s)
	if ok && len(e.params) == 0 {
		return nil
	}
	uri, bracketed := strings.CutPrefix(e.first, "<")
	uri, closed := strings.CutSuffix(uri, ">")
	if !ok || !bracketed || !closed || uri == "" {
		return Reason("failed to parse Grip-Link value")
	}
	if _, err := url.Parse(uri); err != nil {
		return Reason("Grip-Link contains invalid link")
	}
	switch rel, _ := e.get("rel"); rel {
	case "next":
		return in.readNext(uri, e)
	case "gone":
		in.Gone = uri
	}
	return nil
}

func (in *Instruct) readNext(uri string, e entry) error {
	in.Next = Link{URI: uri}
	v, ok := e.get("timeout")
	if !ok {
		return nil
	}
	d, ok := parseSeconds(v)
	if !ok {
		return Reason("failed to parse Grip-Link timeout value")
	}
	if d < 0 {
		return Reason("Grip-Link timeout has invalid value")
	}
	in.Next.Timeout = max(d, minNext)
	return nil
}
