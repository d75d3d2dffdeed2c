package cmd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// errCounted ends a subscription that has delivered what --count asked for.
var errCounted = errors.New("all messages counted")

// subscription renders what happens to one run of subscribe. All but the timers
// is owned by the goroutine in client.Subscribe.
type subscription struct {
	d      deps
	o      subscribeOptions
	asked  asked
	print  *printer
	side   *ui.Output // status records on stderr, under --json
	runner *runner    // nil without --exec

	limit, idle *time.Timer // nil without --timeout and --idle-timeout

	opened  bool
	seq     uint64 // messages taken
	decoded bool   // a warning about a body that does not decode was given
	queried bool   // a warning about a filter that fails was given
}

// newSubscription makes the renderer and arms --timeout; cancel ends the
// subscription with a cause.
func newSubscription(d deps, o subscribeOptions, conn connection, out io.Writer, cancel context.CancelCauseFunc) *subscription {
	s := &subscription{d: d, o: o, asked: asked{verb: "subscribe", topics: o.topics, conn: conn},
		print: newPrinter(d, o, out), side: ui.NewOutput(d.io.Err, nil, nil)}
	if o.command != nil {
		s.runner = newRunner(d, o, out)
	}
	if o.timeout > 0 {
		over := ui.Problemf(ui.TimeoutRun, "the time is over after "+o.timeout.String())
		s.limit = time.AfterFunc(o.timeout.D(), func() { cancel(over) })
	}
	if o.idle > 0 {
		over := ui.Problemf(ui.TimeoutIdle, "no message came for "+o.idle.String())
		s.idle = time.AfterFunc(o.idle.D(), func() { cancel(over) })
		s.idle.Stop() // armed by the first stream-open
	}
	return s
}

// timedOut adds to the end that a timer made how far the run had come. The timers
// cannot: they run beside the goroutine that counts.
func (s *subscription) timedOut(err error) error {
	p, ok := errors.AsType[ui.Problem](err)
	if !ok || p.Code != ui.TimeoutRun && p.Code != ui.TimeoutIdle {
		return err
	}
	came := fmt.Sprintf("%d messages came", s.seq)
	switch s.seq {
	case 0:
		came = "no message came"
	case 1:
		came = "1 message came"
	}
	switch {
	case !s.opened:
		return p.Because("the service had not confirmed the subscription yet")
	case p.Code == ui.TimeoutIdle:
		return p.Because(came + " before that")
	case s.o.count > 0:
		return p.Because(fmt.Sprintf("%d of %d messages came", s.seq, s.o.count))
	}
	return p.Because(came)
}

func (s *subscription) stopTimers() {
	for _, t := range [...]*time.Timer{s.limit, s.idle} {
		if t != nil {
			t.Stop()
		}
	}
}

// take renders one event.
func (s *subscription) take(ctx context.Context, e client.Event) error {
	switch e.Kind {
	case client.KindMessage:
		return s.message(ctx, e)
	case client.KindOpen:
		return s.open(ctx, e)
	case client.KindGap:
		return s.event(ctx, s.record(e, ui.RecordGap, "gap: "+gapText(e)))
	case client.KindReconnecting:
		text := fmt.Sprintf("%v; trying again in %s (attempt %d)", s.asked.problem(e.Err), ui.FormatDuration(e.Wait.Round(10*time.Millisecond)), e.Attempt)
		return s.event(ctx, s.record(e, ui.RecordStatus, text))
	}
	return s.end(ctx, e)
}

func gapText(e client.Event) string {
	if e.Since.IsZero() {
		return e.Text
	}
	return e.Text + " (" + e.Since.Local().Format(time.TimeOnly) + " to " + e.Time.Local().Format(time.TimeOnly) + ")"
}

func (s *subscription) open(ctx context.Context, e client.Event) error {
	text := "listening on "
	if s.opened {
		text = "listening again on "
	} else if s.idle != nil {
		s.idle.Reset(s.o.idle.D())
	}
	s.opened = true
	text += fmt.Sprintf("%s (%s, %s)", shownTopics(unique(s.o.topics)), e.Transport, s.asked.conn.url)
	return s.event(ctx, s.record(e, ui.RecordStatus, text))
}

// end tells --events why it is over; for others the edge prints the error.
func (s *subscription) end(ctx context.Context, e client.Event) error {
	if !s.o.events {
		return nil
	}
	r := s.record(e, ui.RecordStatus, "ended")
	if err, ok := errors.AsType[ui.Problem](s.asked.problem(e.Err)); ok {
		r.Type, r.Text, r.Code = ui.RecordError, err.Error(), err.Code
	}
	return s.event(ctx, r)
}

// record is the part that all records share.
func (s *subscription) record(e client.Event, kind ui.RecordType, text string) ui.Record {
	r := ui.Record{Type: kind, Time: e.Time, Transport: e.Transport, Conn: e.Conn, Text: s.d.io.Secrets.Redact(text)}
	if kind != ui.RecordMessage {
		r.Event = e.Kind.String()
	}
	if len(s.o.topics) == 1 {
		r.Topic = &s.o.topics[0]
	}
	return r
}

// event puts a record that is no message where it belongs: with --events among
// the messages, else on stderr, as a record there too under --json.
func (s *subscription) event(ctx context.Context, r ui.Record) error {
	switch {
	case s.o.events:
		return s.print.event(ctx, r)
	case s.d.io.JSON && !s.d.io.Quiet:
		return s.side.Write(ctx, r)
	case !s.d.io.JSON:
		s.d.io.Note("%s", r.Text)
	}
	return nil
}

func (s *subscription) message(ctx context.Context, e client.Event) error {
	m := e.Message
	r := s.record(e, ui.RecordMessage, "")
	if m.Topic != "" {
		topic := string(m.Topic)
		r.Topic = &topic
	}
	r.ID, r.Event, r.Retained, r.Data = m.ID, m.Name, &m.Retained, s.decode(m.Data)
	r.Seq = s.seq + 1
	if ok, err := s.wanted(ctx, r); !ok || err != nil {
		return err
	}
	if s.idle != nil {
		s.idle.Reset(s.o.idle.D())
	}
	s.seq++
	if err := s.deliver(ctx, r); err != nil {
		return err
	}
	if s.seq == uint64(s.o.count) {
		return errCounted
	}
	return nil
}

// deliver prints the message, or runs the command on it; under --json both.
func (s *subscription) deliver(ctx context.Context, r ui.Record) error {
	if s.runner == nil || s.d.io.JSON {
		if err := s.print.message(ctx, r); err != nil {
			return err
		}
	}
	if s.runner == nil {
		return nil
	}
	return s.runner.run(ctx, r)
}

// decode applies --decode; a body that is not in that form stays as it is. The
// result is never nil, because an empty payload is one.
func (s *subscription) decode(data []byte) []byte {
	out, err := data, error(nil)
	switch text := bytes.TrimSpace(data); s.o.decode {
	case "hex":
		out, err = hex.AppendDecode([]byte{}, text)
	case "base64":
		out, err = base64.StdEncoding.AppendDecode([]byte{}, text)
	}
	if err != nil && !s.decoded {
		s.decoded = true
		s.d.io.Warn("a body is not %s and is shown as it came; further ones are not announced", s.o.decode)
	}
	if err != nil {
		out = data
	}
	if out == nil {
		return []byte{}
	}
	return out
}

// wanted applies --filter. An expression that fails on a message does not match it.
func (s *subscription) wanted(ctx context.Context, r ui.Record) (bool, error) {
	if s.o.query == nil {
		return true, nil
	}
	ok, err := s.o.query.Match(ctx, ui.WithBody{Record: r})
	if _, failed := errors.AsType[*ui.QueryError](err); failed {
		if !s.queried {
			s.queried = true
			return false, s.warn(ctx, r, fmt.Sprintf("the filter fails on a message and skips it; further ones are not announced: %v", err))
		}
		return false, nil
	}
	return ok, err
}

// warn tells people, and under --json whoever reads the records on stderr: a
// message that is not shown must not vanish without a word.
func (s *subscription) warn(ctx context.Context, about ui.Record, text string) error {
	if !s.d.io.JSON {
		s.d.io.Warn("%s", text)
		return nil
	}
	return s.event(ctx, ui.Record{Type: ui.RecordStatus, Event: "warning", Time: about.Time, Transport: about.Transport,
		Topic: about.Topic, Conn: about.Conn, Text: s.d.io.Secrets.Redact(text)})
}
