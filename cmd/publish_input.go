package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// maxInput is how much of the input one message may take: the largest payload
// in base64, with its line ends.
const maxInput = 2 * pubsub.MaxPayload

// bodies gives the messages to publish, and what closes their source.
func (d deps) bodies(ctx context.Context, o publishOptions) (client.Next, func(), error) {
	expand, err := o.expander(d.now)
	if err != nil {
		return nil, nil, err
	}
	if len(o.body) > 0 && o.body[0] != "-" && !o.split() {
		next, err := o.repeat(expand, []byte(o.body[0]))
		return next, func() {}, err
	}
	in, closeInput, err := d.input(o)
	if err != nil {
		return nil, nil, err
	}
	if o.split() {
		return o.pieces(ctx, expand, in), closeInput, nil
	}
	defer closeInput()
	body, err := readWhole(ctx, in, maxInput)
	if err != nil {
		return nil, nil, err
	}
	if len(body) == 0 && len(o.body) == 0 && o.file == "" {
		// Nobody said that the body is on stdin, so an empty one is a mistake.
		return nil, nil, o.noBody("stdin is empty")
	}
	next, err := o.repeat(expand, body)
	return next, func() {}, err
}

// input opens where bodies are read from. Stdin is read only if the user said
// so, or fed us something.
func (d deps) input(o publishOptions) (io.Reader, func(), error) {
	stdin := o.file == "-" || len(o.body) > 0 && o.body[0] == "-"
	switch {
	case o.file != "" && !stdin:
		f, err := os.Open(d.path(o.file))
		if err != nil {
			return nil, nil, ui.Problemf(ui.FilesystemRead, "cannot read "+o.file).
				Because(innermost(err)).Try(d.beforeReading(o.file, err)).From(err)
		}
		return f, func() { _ = f.Close() }, nil // it was only read
	case stdin || d.io.InData || o.split():
		return d.io.In, func() {}, nil
	}
	return nil, nil, o.noBody("stdin is not a pipe or a file")
}

func (o *publishOptions) noBody(why string) error {
	return ui.Problemf(ui.UsageMissingInput, "no body given").Because(why).
		Try("pubsubctl publish " + pasteWord(o.topic) + " 'hello'")
}

// piece is one message of the input, or why there are no more.
type piece struct {
	body []byte
	err  error
}

// await takes what a reading goroutine sends, unless ctx ends first. What is there
// when it does is taken: whether the input had ended is not left to chance.
func await(ctx context.Context, from <-chan piece) ([]byte, error) {
	select {
	case p := <-from:
		return p.body, p.err
	default:
	}
	select {
	case p := <-from:
		return p.body, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readWhole reads one body, of one that is longer than limit a byte more. A read of stdin cannot be interrupted, so it has a
// goroutine of its own, which ends with its input or with the process.
func readWhole(ctx context.Context, in io.Reader, limit int64) ([]byte, error) {
	got := make(chan piece, 1)
	go func() {
		body, err := io.ReadAll(io.LimitReader(in, limit+1))
		got <- piece{body, err}
	}()
	body, err := await(ctx, got)
	if err != nil {
		return nil, unreadable(err)
	}
	return body, nil
}

// pieces gives the lines, or the NUL-terminated pieces, of the input.
func (o *publishOptions) pieces(ctx context.Context, expand expander, in io.Reader) client.Next {
	separator := byte('\n')
	if o.null {
		separator = 0
	}
	from := make(chan piece, 16)
	go sendPieces(ctx, from, bufio.NewReaderSize(in, 64<<10), separator) // ends with its input, or with ctx at the next piece
	return func(ctx context.Context, n int) ([]byte, error) {
		if o.countGiven && n > o.count {
			return nil, io.EOF
		}
		body, err := await(ctx, from)
		if err != nil {
			return nil, err
		}
		return o.finish(expand, n, body)
	}
}

func sendPieces(ctx context.Context, to chan<- piece, in *bufio.Reader, separator byte) {
	for {
		body, err := readPiece(in, separator)
		select {
		case to <- piece{body, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// readPiece reads up to the separator, which is dropped. The last piece needs
// none. More than a message can hold is not kept in memory.
func readPiece(in *bufio.Reader, separator byte) ([]byte, error) {
	var body []byte
	for {
		part, err := in.ReadSlice(separator)
		if body = append(body, part...); len(body) > maxInput+1 {
			return body[:maxInput+1], nil // publishing it is refused, and that ends the batch
		}
		switch {
		case err == nil:
			return body[:len(body)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(body) > 0:
			return body, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		}
		return nil, unreadable(err)
	}
}

// unreadable says that the input cannot be read. Of what is no failure of the
// system, such as an interrupt, it leaves the kind to be seen.
func unreadable(err error) error {
	if cause := rootCause(err); cause != nil {
		return ui.Problemf(ui.FilesystemRead, "cannot read the input").Because(cause.Error()).From(err)
	}
	return fmt.Errorf("read input: %w", err)
}

// repeat gives the same body count times, or for ever if only a pace is set.
// A body that can be refused is refused now.
func (o *publishOptions) repeat(expand expander, body []byte) (client.Next, error) {
	if expand == nil {
		decoded, err := o.finish(nil, 1, body)
		if err != nil {
			return nil, err
		}
		return o.counted(func(int) ([]byte, error) { return decoded, nil }), nil
	}
	return o.counted(func(n int) ([]byte, error) { return o.finish(expand, n, nil) }), nil
}

func (o *publishOptions) counted(make func(n int) ([]byte, error)) client.Next {
	endless := o.paced && !o.countGiven
	return func(_ context.Context, n int) ([]byte, error) {
		if n > o.count && !endless {
			return nil, io.EOF
		}
		return make(n)
	}
}

// expander makes the n-th body from a template.
type expander func(n int, line string) ([]byte, error)

// expander compiles the template, if there is one. It is the BODY beside
// --lines too; a template from a file or stdin would hide which of the two the
// input is.
func (o *publishOptions) expander(now func() time.Time) (expander, error) {
	if !o.expand {
		return nil, nil
	}
	if len(o.body) == 0 || o.body[0] == "-" {
		return nil, ui.Problemf(ui.UsageMissingArgument, "--template needs the template as BODY").
			Try("pubsubctl publish " + pasteWord(o.topic) + " 'message {{.n}}' --template --count 3")
	}
	t, err := ui.ParseFormat(o.body[0])
	if err != nil {
		return nil, ui.Problem{Code: ui.UsageBadArgument, Err: errors.New("the body is not a template"), Why: err.Error(), Chain: err}
	}
	return func(n int, line string) ([]byte, error) { return o.execute(t, now(), n, line) }, nil
}

func (o *publishOptions) execute(t *template.Template, at time.Time, n int, line string) ([]byte, error) {
	var b strings.Builder
	err := t.Execute(&b, map[string]any{"n": n, "topic": o.topic, "line": line, "time": at.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return nil, ui.Problem{Code: ui.UsageBadArgument, Err: errors.New("the template cannot be expanded"), Why: err.Error(), Chain: err}
	}
	return []byte(b.String()), nil
}

// finish makes the payload of the n-th message from what was read for it.
func (o *publishOptions) finish(expand expander, n int, body []byte) ([]byte, error) {
	if expand != nil {
		var err error
		if body, err = expand(n, string(body)); err != nil {
			return nil, err
		}
	}
	if o.base64In {
		decoded, err := base64.StdEncoding.AppendDecode(nil, body)
		if err != nil {
			return nil, ui.Problemf(ui.UsageBadArgument, o.nth(n)+" is not base64").Because(err.Error()).
				Try("base64 FILE | pubsubctl publish " + pasteWord(o.topic) + " --base64-in")
		}
		body = decoded
	}
	if len(body) > pubsub.MaxPayload {
		return nil, ui.Problemf(ui.UsageTooLarge, o.nth(n)+" is larger than the service takes").
			Because(fmt.Sprintf("the most is %d bytes", pubsub.MaxPayload))
	}
	return body, nil
}

// changedByStreams reports whether event streams change a body: the app writes a
// carriage return into the event as it is, and clients take it for the end of a
// line (Quirk Q35). What is not UTF-8 travels as base64 and stays whole.
func changedByStreams(body []byte) bool {
	return bytes.IndexByte(body, '\r') >= 0 && utf8.Valid(body)
}

// warnCR is next with a warning at the first body that event streams change.
// With --confirm over HTTP there is none: that fails, and says why.
func (d deps) warnCR(next client.Next, o publishOptions) client.Next {
	warned := o.confirmGiven && !o.message().MQTT
	return func(ctx context.Context, n int) ([]byte, error) {
		body, err := next(ctx, n)
		if err == nil && !warned && changedByStreams(body) {
			warned = true
			d.io.Warn("%s has a carriage return, which event streams read as the end of a line: what SSE subscribers get differs; MQTT ones get it whole", o.nth(n))
		}
		return body, err
	}
}

// nth names a body for a sentence.
func (o *publishOptions) nth(n int) string {
	if !o.many() {
		return "the body"
	}
	return fmt.Sprintf("body %d", n)
}
