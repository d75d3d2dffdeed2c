package ui

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/itchyny/gojq"
)

// queryTimeout ends a query that does not end by itself, per record.
const queryTimeout = 5 * time.Second

// Query is a compiled jq expression. It may be used from several goroutines.
type Query struct{ code *gojq.Code }

// CompileQuery compiles a jq expression. It cannot read files, variables of the
// environment or further input.
func CompileQuery(expr string) (*Query, error) {
	q, err := gojq.Parse(expr)
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(q, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, err
	}
	return &Query{code}, nil
}

// Run applies the query to what v is in JSON and calls emit with each result,
// until emit fails. It takes 5 s at most. An error of the expression itself is a
// *QueryError.
func (q *Query) Run(ctx context.Context, v any, emit func(any) error) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	in, err := plainValue(v)
	if err != nil {
		return err
	}
	results := q.code.RunWithContext(ctx, in)
	for {
		out, ok := results.Next()
		if !ok {
			return nil
		}
		if err, bad := out.(error); bad {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return nil
			}
			return &QueryError{err}
		}
		if err := emit(out); err != nil {
			return err
		}
	}
}

// Match reports whether the query gives at least one result that is neither
// false nor null, as a filter understands it.
func (q *Query) Match(ctx context.Context, v any) (bool, error) {
	match := false
	err := q.Run(ctx, v, func(out any) error {
		match = match || out != nil && out != false
		return nil
	})
	return match, err
}

// QueryError is a jq expression that failed on the record at hand.
type QueryError struct{ err error }

// Error is the expression's own sentence.
func (e *QueryError) Error() string { return "jq: " + e.err.Error() }

// Unwrap gives the cause.
func (e *QueryError) Unwrap() error { return e.err }

// plainValue turns v into maps, lists and scalars, by way of its JSON.
func plainValue(v any) (any, error) {
	b, err := encodeJSON(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber() // gojq reads json.Number, and keeps large integers exact
	var out any
	err = dec.Decode(&out)
	return out, err
}

// ParseFormat compiles a Go template over the members of a record, by their JSON
// names: {{.topic}} {{.data}}. Its functions besides the built-in ones are json,
// base64, upper and lower. A member the record does not have prints as nothing.
func ParseFormat(text string) (*template.Template, error) {
	return template.New("format").Option("missingkey=zero").Funcs(template.FuncMap{
		"json":   func(v any) (string, error) { b, err := encodeJSON(v); return string(b), err },
		"base64": func(v any) string { return base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(v))) },
		"upper":  strings.ToUpper,
		"lower":  strings.ToLower,
	}).Parse(text)
}

// Output writes values as lines: as JSON, through a query, or through a
// template. Each call of Write is one write to the underlying writer, so a
// record is never torn. It is not safe for concurrent use.
type Output struct {
	w        io.Writer
	query    *Query
	template *template.Template
	buf      strings.Builder
}

// NewOutput makes an Output on w. A query is applied to the JSON; a template, if
// not nil, replaces the JSON. Both nil is plain JSON.
func NewOutput(w io.Writer, q *Query, format *template.Template) *Output {
	return &Output{w: w, query: q, template: format}
}

// Write writes v, one line per result; a query may have none or many.
func (o *Output) Write(ctx context.Context, v any) error {
	o.buf.Reset()
	var err error
	switch {
	case o.template != nil:
		err = o.execute(v)
	case o.query != nil:
		err = o.query.Run(ctx, v, o.line)
	default:
		err = o.line(v)
	}
	if o.buf.Len() > 0 {
		_, werr := io.WriteString(o.w, o.buf.String())
		err = errors.Join(err, werr)
	}
	return err
}

func (o *Output) line(v any) error {
	b, err := encodeJSON(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	o.buf.Write(b)
	o.buf.WriteByte('\n')
	return nil
}

// execute runs the template; a missing member is an absent map entry, which a
// template would print as <no value>, so it is fed empty strings instead.
func (o *Output) execute(v any) error {
	in, err := plainValue(v)
	if err != nil {
		return err
	}
	if m, ok := in.(map[string]any); ok {
		for _, name := range [...]string{"time", "topic", "id", "transport", "event", "encoding", "data",
			"size", "retained", "seq", "latency_ms", "conn", "text", "code"} {
			if _, ok := m[name]; !ok {
				m[name] = ""
			}
		}
	}
	if err := o.template.Execute(&o.buf, in); err != nil {
		o.buf.Reset()
		return fmt.Errorf("apply format: %w", err)
	}
	o.buf.WriteByte('\n')
	return nil
}
