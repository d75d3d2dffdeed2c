package fanout

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// filter runs the subscription's filters over an item. It reports false if the
// item is not to be delivered; an item that could not be made is named in the
// log, for it is the publisher's or the origin's mistake.
func (s *stream) filter(sub *subscription, it *item) (content []byte, ok bool) {
	c := s.context(sub, it)
	content, ok, err := c.Apply(sub.Filters, it.HTTPStream.Content)
	if err != nil {
		s.engine.log.Warn("item dropped", "cause", err, "conn", s.conn)
		return nil, false
	}
	return content, ok
}

// passes reports whether the delivery filters let an item without content through.
func (s *stream) passes(sub *subscription, it *item) bool {
	c := s.context(sub, it)
	return c.Deliver(sub.Filters)
}

func (s *stream) context(sub *subscription, it *item) grip.FilterContext {
	return filterContext(s.channels, s.prefix, s.meta, sub, it)
}

// filterContext is what the filters of a connection may know, by the names that
// its origin has for channels.
func filterContext(channels []subscription, prefix string, meta map[string]string, sub *subscription, it *item) grip.FilterContext {
	find := func(name string) *subscription { return findSubscription(channels, prefix+name) }
	return grip.FilterContext{
		SubMeta: meta, PubMeta: it.Meta, Channel: strings.TrimPrefix(sub.Name, prefix), ID: it.ID,
		PrevID: func(name string) (string, bool) {
			at := find(name)
			if at == nil || at.PrevID == "" {
				return "", false
			}
			return at.PrevID, true
		},
		Subscribed: func(name string) bool { return find(name) != nil },
	}
}

func findSubscription(channels []subscription, name string) *subscription {
	for i := range channels {
		if channels[i].Name == name {
			return &channels[i]
		}
	}
	return nil
}

// filterInitial runs the content filters over the body of an answer that carries
// instructions.
func (s *server) filterInitial(resp *Response) error {
	if resp.Stream != nil && filtersBody(resp.Instruct) {
		return errLongFiltered
	}
	resp.Body = filterBody(s.engine.log, resp.Instruct, resp.Body)
	return nil
}

// errLongFiltered refuses a body too long for filters.
var errLongFiltered = errors.New("GRIP instruct response too large")

// filterBody runs the filters that an instruction has for its own body. A page
// that cannot be made is left out and named in the log, for it is the origin's
// mistake.
func filterBody(log *slog.Logger, in *grip.Instruct, body []byte) []byte {
	if !filtersBody(in) {
		return body
	}
	out, err := grip.FilterBody([]string{grip.FilterBuildID}, in.Meta, body)
	if err != nil {
		log.Warn("page dropped", "cause", err)
		return nil
	}
	return out
}

func filtersBody(in *grip.Instruct) bool {
	return in != nil && slices.ContainsFunc(in.Channels, func(c grip.Channel) bool {
		return slices.Contains(c.Filters, grip.FilterBuildID)
	})
}
