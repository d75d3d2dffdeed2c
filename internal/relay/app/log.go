package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
	"github.com/pubsubctl/pubsubctl/internal/token"
)

// Lines are built only if somebody wants them: a publish costs less than the
// line about it. No line holds a credential or a payload.

// peer is whom a line is about.
type peer struct {
	conn   uint64
	remote string
}

func peerOf(r *fanout.Request) peer { return peer{r.Conn, r.Remote} }

// line writes one line about a connection.
func (a *App) line(ctx context.Context, level slog.Level, who peer, msg string, more ...slog.Attr) {
	attrs := append(make([]slog.Attr, 0, 8), slog.Uint64("conn", who.conn), slog.String("remote", who.remote))
	a.log.LogAttrs(ctx, level, msg, append(attrs, more...)...)
}

// longest is how much of a name, and of a list of names, a line may have, in
// bytes: clients choose them.
const longest = 256

// clipped is a topic for a line.
func clipped(t pubsub.Topic) string {
	if len(t) > longest {
		return string(t[:longest]) + "..."
	}
	return string(t)
}

func quoted(t pubsub.Topic) string { return "\"" + clipped(t) + "\"" }

// joined is a list of topics for a line.
func joined(topics []pubsub.Topic) string {
	var b strings.Builder
	for i, t := range topics {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > longest {
			b.WriteString("...")
			break
		}
		b.WriteString(clipped(t))
	}
	return b.String()
}

func (a *App) warns(ctx context.Context) bool { return a.log.Enabled(ctx, slog.LevelWarn) }

// logRefused names what failed and how the client was told: by a status or by
// the condition of a stream-error.
func (a *App) logRefused(ctx context.Context, r *fanout.Request, topics []pubsub.Topic, told string, no *refusal) {
	if !a.warns(ctx) {
		return
	}
	if no.status == 0 {
		told = "500, the app crashes"
	}
	attrs := []slog.Attr{slog.String("topic", joined(topics)), slog.String("cause", told+": "+no.cause)}
	if no.err != nil {
		attrs = append(attrs, slog.Any("err", no.err))
	}
	a.line(ctx, slog.LevelWarn, peerOf(r), "refused", attrs...)
}

func (a *App) logKey(ctx context.Context, r *fanout.Request) {
	if a.log.Enabled(ctx, slog.LevelInfo) {
		a.line(ctx, slog.LevelInfo, peerOf(r), "signing key created")
	}
}

// logSubscribed tells of an opened stream, and warns about names that do not do
// what they seem to.
func (a *App) logSubscribed(ctx context.Context, r *fanout.Request, s *stream) {
	if a.log.Enabled(ctx, slog.LevelInfo) {
		a.line(ctx, slog.LevelInfo, peerOf(r), "subscribed", slog.String("topic", joined(s.topics)), slog.Int("count", len(s.topics)))
	}
	if !a.warns(ctx) {
		return
	}
	for _, t := range s.topics {
		if why := s.hazards(t); why != "" {
			a.line(ctx, slog.LevelWarn, peerOf(r), "topic name misleads", slog.String("topic", clipped(t)), slog.String("cause", why))
		}
	}
}

// hazards is what is misleading about a topic's name on this stream, for one
// line; empty if nothing is.
func (s *stream) hazards(t pubsub.Topic) string {
	var why []string
	for _, h := range t.Hazards() {
		if s.durable || !durableOnly(h) {
			why = append(why, "it "+h.String())
		}
	}
	return strings.Join(why, "; ")
}

// durableOnly reports whether a hazard leaves plain streams alone.
func durableOnly(h pubsub.Hazard) bool {
	return h == pubsub.HazardColon || h == pubsub.HazardNonASCII || h == pubsub.HazardStore
}

// logPublished tells how many heard of a message: receivers of the channel it
// went to, of all who listen to the topic's live channel.
func (a *App) logPublished(ctx context.Context, who peer, msg string, n *notice, data []byte, receivers int) {
	if !a.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	of := a.publisher.Subscribers(n.topic.Live())
	attrs := []slog.Attr{
		slog.String("topic", clipped(n.topic)), slog.Int("bytes", len(data)),
		slog.Int("delivered", receivers), slog.Int("of", of),
	}
	if n.kept {
		attrs = append(attrs, slog.String("version", n.version.String()))
	}
	a.line(ctx, slog.LevelInfo, who, msg, attrs...)
}

// warnStored warns that a stored message is not sent to plain streams (Quirk Q1).
func (a *App) warnStored(ctx context.Context, who peer, n *notice, receivers int) {
	if !a.warns(ctx) {
		return
	}
	if of := a.publisher.Subscribers(n.topic.Live()); of > receivers {
		a.line(ctx, slog.LevelWarn, who, "stored message not sent to plain streams",
			slog.String("topic", clipped(n.topic)), slog.Int("count", of-receivers))
	}
}

// warnReturn warns of a payload that event streams read differently (Quirk Q35)
// and reports whether it did.
func (a *App) warnReturn(ctx context.Context, who peer, n *notice, data []byte) bool {
	if bytes.IndexByte(data, '\r') < 0 || !a.warns(ctx) {
		return false
	}
	a.line(ctx, slog.LevelWarn, who, "payload has a carriage return, which event streams read as a line end",
		slog.String("topic", clipped(n.topic)))
	return true
}

// warnRaw warns of a topic that its publisher may have meant to be decoded
// (Quirk Q6).
func (a *App) warnRaw(ctx context.Context, r *fanout.Request, t pubsub.Topic) {
	if strings.ContainsAny(string(t), "%+") && a.warns(ctx) {
		a.line(ctx, slog.LevelWarn, peerOf(r), "topic is not percent-decoded on publish", slog.String("topic", clipped(t)))
	}
}

// odd reports whether a token is accepted by an oddity.
func odd(c *token.Claims, now time.Time) bool { return c.Warning != 0 || late(c, now) }

func late(c *token.Claims, now time.Time) bool { return !c.Expires.IsZero() && now.After(c.Expires) }

// warnClaims warns of a token that is accepted by an oddity (Quirks Q12, Q13).
func (a *App) warnClaims(ctx context.Context, who peer, c *token.Claims, now time.Time) {
	if !odd(c, now) || !a.warns(ctx) {
		return
	}
	if c.Warning != 0 {
		a.line(ctx, slog.LevelWarn, who, "token accepted that misleads", slog.String("cause", "it "+c.Warning.String()))
	}
	if late(c, now) {
		a.line(ctx, slog.LevelWarn, who, "token accepted after its time", slog.String("cause", "it has expired, which counts 15 minutes later"))
	}
}
