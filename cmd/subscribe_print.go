package cmd

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// printer writes messages: as JSON, by a template, or for people. It writes
// once per message, so lines are never torn, and owns its buffer.
type printer struct {
	w        io.Writer
	records  *ui.Output // nil when bodies are printed, not records
	terminal bool       // w is one, so nothing may reach it unescaped
	color    bool
	raw      bool
	time     string // as --time, never empty
	before   time.Time
	buf      []byte
}

func newPrinter(d deps, o subscribeOptions, out io.Writer) *printer {
	terminal := d.io.OutTTY && o.output == ""
	p := &printer{w: out, terminal: terminal, color: terminal && d.io.OutColor, raw: o.raw, time: o.time}
	if p.time == "" {
		p.time = "off"
		if terminal && !o.raw {
			p.time = "local"
		}
	}
	if d.io.JSON || o.template != nil {
		if terminal {
			out = escaping{out}
		}
		p.records = ui.NewOutput(out, d.flags.query, o.template)
	}
	return p
}

// escaping makes the lines written to it safe for a terminal.
type escaping struct{ w io.Writer }

// Write escapes all of b but line ends.
func (e escaping) Write(b []byte) (int, error) {
	if _, err := e.w.Write(ui.AppendEscaped(nil, b, true)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *printer) message(ctx context.Context, r ui.Record) error {
	if p.records != nil {
		return p.records.Write(ctx, r)
	}
	p.buf = p.appendTime(p.buf[:0], r.Time)
	if p.terminal && !p.raw && r.Topic != nil {
		p.buf = append(p.buf, ui.Cyan.Paint(p.color, ui.Escape(*r.Topic))...)
		p.buf = append(p.buf, "  "...)
	}
	if p.terminal {
		p.buf = ui.AppendEscaped(p.buf, r.Data, false)
	} else {
		p.buf = append(p.buf, r.Data...)
	}
	if !p.raw {
		p.buf = append(p.buf, '\n')
	}
	_, err := p.w.Write(p.buf)
	return err
}

// event prints a record that is no message.
func (p *printer) event(ctx context.Context, r ui.Record) error {
	if p.records != nil {
		return p.records.Write(ctx, r)
	}
	p.buf = p.appendTime(p.buf[:0], r.Time)
	text := string(r.Type) + ": " + r.Text
	if r.Type == ui.RecordGap {
		text = r.Text // which says so itself
	}
	p.buf = append(append(p.buf, ui.Escape(text)...), '\n')
	_, err := p.w.Write(p.buf)
	return err
}

// appendTime appends the time as --time wants it, and two spaces.
func (p *printer) appendTime(b []byte, t time.Time) []byte {
	start := len(b)
	switch p.time {
	case "off":
		return b
	case "local":
		b = t.Local().AppendFormat(b, "15:04:05.000")
	case "rfc3339":
		b = t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	case "unix":
		b = strconv.AppendFloat(b, float64(t.UnixMilli())/1000, 'f', 3, 64)
	case "delta":
		since := time.Duration(0)
		if !p.before.IsZero() {
			since = t.Sub(p.before)
		}
		p.before = t
		b = append(strconv.AppendFloat(append(b, '+'), since.Seconds(), 'f', 3, 64), 's')
	}
	if p.color {
		b = append(b[:start], ui.Dim.Paint(true, string(b[start:]))...)
	}
	return append(b, "  "...)
}
