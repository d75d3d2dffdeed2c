package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pubsubctl/pubsubctl/internal/mqtt"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// quirks is a set of oddities that a connection was warned of: each is worth a
// line once, not once for each packet.
type quirks uint32

const (
	quirkAbsorbed    quirks = 1 << iota // Q2
	quirkFilters                        // Q3
	quirkClaims                         // Q12, Q13
	quirkForbidden                      // Q17, as the next five
	quirkToken                          //
	quirkSize                           //
	quirkDollar                         //
	quirkUnstored                       //
	quirkUnpublished                    //
	quirkPing                           // Q28
	quirkReturn                         // Q35
	quirkName                           // Q36
	quirkLarge                          // Q47
	quirkSplit                          // Q51
	quirkHeld                           // section 11, as all below
	quirkTopics                         //
	quirkState                          //
	quirkLong                           //
	quirkRefused                        // the reasons to close, which come once anyway
	quirkMalformed                      //
	quirkUnreadable                     //
)

// misleads is what lines say about packets that do not do what they seem to.
const misleads = "mqtt packet misleads"

// warn writes a line, once for each connection.
func (c *call) warn(ctx context.Context, q quirks, msg string, more ...slog.Attr) {
	if c.warned&q != 0 || !c.warns(ctx) {
		return
	}
	c.warned |= q
	c.line(ctx, slog.LevelWarn, c.who, msg, more...)
}

// drop tells the log what the client is never told: its message is lost (Quirk
// Q17).
func (c *call) drop(ctx context.Context, q quirks, topic []byte, no *refusal) {
	if c.warned&q == 0 {
		c.warn(ctx, q, "refused", c.refused(pubsub.Topic(topic), "PUBLISH dropped", no)...)
	}
}

// refused are the attributes of a refusal; told is what became of the packet.
func (c *call) refused(t pubsub.Topic, told string, no *refusal) []slog.Attr {
	attrs := []slog.Attr{slog.String("topic", clipped(t)), slog.String("cause", told+": "+no.cause)}
	if no.err != nil {
		attrs = append(attrs, slog.Any("err", no.err))
	}
	return attrs
}

func (c *call) logRefusedFilter(ctx context.Context, t pubsub.Topic, code mqtt.Reason, no *refusal) {
	if c.warns(ctx) {
		c.line(ctx, slog.LevelWarn, c.who, "refused", c.refused(t, fmt.Sprintf("SUBACK 0x%02X", byte(code)), no)...)
	}
}

// warnFilters names the one filter that counts (Quirk Q3).
func (c *call) warnFilters(ctx context.Context, packet mqtt.Type, first pubsub.Topic, more int) {
	if more > 0 && c.warned&quirkFilters == 0 {
		c.warn(ctx, quirkFilters, misleads, slog.String("topic", clipped(first)), slog.Int("count", more+1),
			slog.String("cause", fmt.Sprintf("%s carried %d filters, only %s counts", packet, more+1, quoted(first))))
	}
}

// logListening tells of a subscription, and warns about what production would
// not bear or event streams read differently.
func (c *call) logListening(ctx context.Context, t pubsub.Topic) {
	if c.log.Enabled(ctx, slog.LevelInfo) {
		c.line(ctx, slog.LevelInfo, c.who, "mqtt subscribed", slog.String("topic", clipped(t)), slog.Int("count", len(c.subs)))
	}
	if !c.warns(ctx) {
		return
	}
	for _, h := range t.Hazards() {
		if !durableOnly(h) && h != pubsub.HazardWildcard {
			c.warn(ctx, quirkName, "topic name misleads", slog.String("topic", clipped(t)), slog.String("cause", h.String()))
		}
	}
	if n := len(c.subs); n > topicsWarn {
		c.warn(ctx, quirkTopics, "mqtt connection has many topics", slog.Int("count", n),
			slog.String("cause", "the stock proxy listens to the first 10"))
	}
	if c.size > stateWarn {
		c.warn(ctx, quirkState, "mqtt connection has many topics", slog.Int("bytes", c.size),
			slog.String("cause", "in production token and topics have to fit into a header"))
	}
}
