package cmd

import (
	"context"
	"log/slog"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// logSwitch is the handler behind deps.log. It drops everything until the flags
// are settled, and after that what -v does not ask for. It is set before RunE is
// called and read only then.
type logSwitch struct{ log *ui.EventLog }

// set turns the log on if -v was given. Under --json the lines are JSON, so that
// stderr stays parseable.
func (l *logSwitch) set(io *ui.Streams, g *globals) {
	if g.verbose == 0 || g.quiet {
		return
	}
	level := slog.LevelInfo
	if g.verbose > 1 {
		level = slog.LevelDebug
	}
	l.log = newEventLog(io, g, level)
}

// newEventLog makes the log of a command on stderr, in the form of --log-format.
// Whoever makes it closes it.
func newEventLog(io *ui.Streams, g *globals, level slog.Level) *ui.EventLog {
	return ui.NewEventLog(ui.LogOptions{Writer: io.Err, JSON: g.logFormat == "json" || g.json, Color: io.ErrColor, Level: level, Secrets: io.Secrets})
}

func (l *logSwitch) close() {
	if l.log != nil {
		l.log.Close()
	}
}

// Enabled reports whether -v asks for the level.
func (l *logSwitch) Enabled(ctx context.Context, level slog.Level) bool {
	return l.log != nil && l.log.Enabled(ctx, level)
}

// Handle passes the line on.
func (l *logSwitch) Handle(ctx context.Context, r slog.Record) error {
	if l.log == nil {
		return nil
	}
	return l.log.Handle(ctx, r)
}

// WithAttrs adds attrs to every line.
func (l *logSwitch) WithAttrs(attrs []slog.Attr) slog.Handler {
	if l.log == nil {
		return l
	}
	return l.log.WithAttrs(attrs)
}

// WithGroup names what follows.
func (l *logSwitch) WithGroup(name string) slog.Handler {
	if l.log == nil {
		return l
	}
	return l.log.WithGroup(name)
}
