package origin

import (
	"context"
	"log/slog"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// noteForwarded logs a request that was answered, for those who want to see them.
func (b *backend) noteForwarded(r *fanout.Request, in *incoming) {
	if ctx := context.Background(); b.proxy.log.Enabled(ctx, slog.LevelDebug) {
		b.proxy.log.LogAttrs(ctx, slog.LevelDebug, "request forwarded", slog.String("method", r.Method), slog.String("path", r.Path),
			slog.String("target", in.from.address), slog.String("route", b.route.String()), slog.Int("status", in.StatusCode),
			slog.Uint64("conn", r.Conn))
	}
}

// noteHeld logs that a connection is held, and on what. A next link goes on with
// one that is.
func (b *backend) noteHeld(r *fanout.Request, in *grip.Instruct) {
	ctx := context.Background()
	if in.Hold == grip.None || r.FollowUp || !b.proxy.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	what := "stream held"
	if in.Hold == grip.Response {
		what = "long-poll held"
	}
	b.proxy.log.LogAttrs(ctx, slog.LevelInfo, what, slog.String("channel", channelNames(b.route.prefix, in.Channels)),
		slog.String("method", r.Method), slog.String("path", r.Path), slog.String("route", b.route.String()),
		slog.Uint64("conn", r.Conn), slog.String("remote", r.Remote))
}

// longest bounds a list of channels in a line: an origin may name many.
const longest = 256

func channelNames(prefix string, channels []grip.Channel) string {
	var text strings.Builder
	for i, c := range channels {
		if i > 0 {
			text.WriteByte(' ')
		}
		if text.Len()+len(prefix)+len(c.Name) > longest {
			text.WriteString("...")
			break
		}
		text.WriteString(prefix + c.Name)
	}
	return text.String()
}

// noteOpened logs that a socket is open; its channels come and go.
func (s *session) noteOpened() {
	r := s.socket.Handshake
	if ctx := context.Background(); s.backend.proxy.log.Enabled(ctx, slog.LevelInfo) {
		s.backend.proxy.log.LogAttrs(ctx, slog.LevelInfo, "socket opened", slog.String("path", r.Path),
			slog.String("route", s.backend.route.String()), slog.Uint64("conn", r.Conn), slog.String("remote", r.Remote))
	}
}
