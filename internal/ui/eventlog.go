package ui

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults and bounds of an EventLog.
const (
	defaultLines   = 200             // per second, below warn
	defaultAlerts  = 100             // per second, warn and above
	maxLogText     = 512             // bytes of one value
	closePatience  = 2 * time.Second // how long Close waits for a writer that is stuck
	logLevels      = 4               // debug, info, warn, error
	logWindow      = time.Second     // what a budget is for
	alerts, events = 1, 0            // the two budgets
)

// LogOptions configures an EventLog. The zero value is a text log of info and
// above without colour; only Writer is required.
type LogOptions struct {
	// Writer takes whole lines, one per Write, from one goroutine.
	Writer io.Writer
	// JSON selects one JSON object per line instead of text for people.
	JSON bool
	// Color allows escapes in text.
	Color bool
	// Head, if not nil, gives what text lines begin with in place of the time of day
	// and the level.
	Head func(time.Time, slog.Level) string
	// Level is the least level that is shown; nil is info.
	Level slog.Leveler
	// Lines is how many lines below warn are shown per second, Alerts how many
	// of warn and above; 0 stands for 200 and 100.
	Lines, Alerts int
	// Secrets are redacted besides what Redact recognises.
	Secrets *Secrets
}

// EventLog is a slog.Handler that stays cheap when events come by the hundred
// thousand. Once a second's budget of lines is used up, Enabled says no, so that
// callers build nothing, and one line at the end of the second tells how many
// were not shown, by level. Warnings and errors have a budget of their own, so
// traffic cannot hide them.
//
// It may be used from any goroutine and never waits for the writer: a line that
// finds the queue full counts as not shown. Lines appear in the order in which
// they were queued. Values are escaped, redacted and cut to 512 bytes.
type EventLog struct {
	*logCore
	prefix string // of group names, each with a dot behind
	attrs  []slog.Attr
}

// logCore is shared by an EventLog and those derived from it.
type logCore struct {
	// Static after construction.
	opt    LogOptions
	level  slog.Leveler
	budget [2]int64
	queue  chan []byte
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	// Atomic.
	left   [2]atomic.Int64
	missed [logLevels]atomic.Int64
}

// NewEventLog starts an event log and the goroutine that writes it; Close ends
// the goroutine.
func NewEventLog(opt LogOptions) *EventLog {
	c := &logCore{opt: opt, level: opt.Level, stop: make(chan struct{}), done: make(chan struct{})}
	if c.level == nil {
		c.level = slog.LevelInfo
	}
	c.budget = [2]int64{orDefault(opt.Lines, defaultLines), orDefault(opt.Alerts, defaultAlerts)}
	c.queue = make(chan []byte, c.budget[events]+c.budget[alerts])
	c.refill()
	go c.write() // owned by c; ends by Close
	return &EventLog{logCore: c}
}

func orDefault(n int, def int64) int64 {
	if n <= 0 {
		return def
	}
	return int64(n)
}

// class tells which budget a level uses.
func class(l slog.Level) int {
	if l >= slog.LevelWarn {
		return alerts
	}
	return events
}

// rank maps a level to 0 (debug) to 3 (error).
func rank(l slog.Level) int {
	return int(max(0, min(logLevels-1, (l-slog.LevelDebug)/4)))
}

// Enabled reports whether a line of this level would be shown now. A no for want
// of budget is counted, so callers ask once per line and not in advance.
func (c *logCore) Enabled(_ context.Context, l slog.Level) bool {
	if l < c.level.Level() {
		return false
	}
	if c.left[class(l)].Load() <= 0 {
		c.missed[rank(l)].Add(1)
		return false
	}
	return true
}

// Handle queues one line. It never waits and never fails.
func (h *EventLog) Handle(_ context.Context, r slog.Record) error {
	if h.left[class(r.Level)].Add(-1) < 0 {
		h.missed[rank(r.Level)].Add(1)
		return nil
	}
	var line []byte
	if h.opt.JSON {
		line = h.jsonLine(r)
	} else {
		line = h.textLine(r)
	}
	select {
	case h.queue <- line:
	default:
		h.missed[rank(r.Level)].Add(1)
	}
	return nil
}

// WithAttrs returns a log that adds attrs to every line.
func (h *EventLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	d := &EventLog{logCore: h.logCore, prefix: h.prefix, attrs: h.attrs[:len(h.attrs):len(h.attrs)]}
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		d.attrs = append(d.attrs, a)
	}
	return d
}

// WithGroup returns a log that puts name and a dot before the names of what
// follows.
func (h *EventLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &EventLog{logCore: h.logCore, prefix: h.prefix + name + ".", attrs: h.attrs}
}

// Close writes what is queued and ends the writer. Lines that come later are
// lost. If the writer is stuck for 2 s, Close returns without it; it may be
// called more than once.
func (c *logCore) Close() {
	c.once.Do(func() { close(c.stop) })
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
	}
}

// write is the writer goroutine. Its timer runs only while lines come.
func (c *logCore) write() {
	defer close(c.done)
	window := time.NewTimer(logWindow)
	window.Stop()
	defer window.Stop()
	open := false
	for {
		select {
		case line := <-c.queue:
			c.put(line)
			if !open {
				window.Reset(logWindow)
				open = true
			}
		case <-window.C:
			if open = c.turn(); open {
				window.Reset(logWindow)
			}
		case <-c.stop:
			c.flush()
			return
		}
	}
}

// turn ends a second: it tells what was not shown and renews the budgets. It
// reports whether anything happened in it.
func (c *logCore) turn() bool {
	used := c.left[events].Load() < c.budget[events] || c.left[alerts].Load() < c.budget[alerts]
	c.summarise()
	c.refill()
	return used
}

func (c *logCore) refill() {
	for i := range c.left {
		c.left[i].Store(c.budget[i])
	}
}

func (c *logCore) flush() {
	for {
		select {
		case line := <-c.queue:
			c.put(line)
		default:
			c.summarise()
			return
		}
	}
}

// put writes a line. An error is dropped: a log has nowhere to report it.
func (c *logCore) put(line []byte) { _, _ = c.opt.Writer.Write(line) }

// summarise writes one line about the lines that were not shown, if there are any.
func (c *logCore) summarise() {
	names := [logLevels]string{"debug", "info", "warn", "error"}
	var total int64
	var attrs []slog.Attr
	for i := range c.missed {
		if n := c.missed[i].Swap(0); n > 0 {
			total += n
			attrs = append(attrs, slog.Int64(names[i], n))
		}
	}
	if total == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "lines not shown", 0)
	r.AddAttrs(slog.Int64("count", total))
	r.AddAttrs(attrs...)
	h := &EventLog{logCore: c}
	if c.opt.JSON {
		c.put(h.jsonLine(r))
		return
	}
	c.put(h.textLine(r))
}
