package tail

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// queryLimit ends a jq expression that takes too long on one message, so that a
// key never waits for it longer than this.
const queryLimit = 20 * time.Millisecond

// errSlowFilter is a jq expression that hit the limit.
var errSlowFilter = errors.New("the jq expression takes too long")

// effort is what it takes to match a message.
type effort uint8

const (
	effortLittle effort = iota // looking for text
	effortSome                 // a regular expression
	effortMuch                 // jq
)

// term is one condition of a filter.
type term struct {
	not    bool
	effort effort
	match  func(*entry) (bool, error)
}

// filter decides which messages are listed. The zero filter lists all.
type filter struct {
	text  string
	terms []term
}

func (f filter) isSet() bool { return len(f.terms) > 0 }

// effort is that of the most demanding condition.
func (f filter) effort() effort {
	most := effortLittle
	for _, t := range f.terms {
		most = max(most, t.effort)
	}
	return most
}

// parseFilter reads a filter: conditions joined by " && ", each with "!" in
// front if it excludes.
//
//	error           the payload holds this; in lower case it matches any case
//	topic:chat      the topic's name holds this
//	re:time(d|out)  the payload matches this regular expression
//	jq:.json.n > 1  this jq expression over the record is true; what starts with
//	                a dot is one too
func parseFilter(text string) (filter, error) {
	f := filter{text: strings.TrimSpace(text)}
	if f.text == "" {
		return filter{}, nil
	}
	for _, part := range strings.Split(f.text, " && ") {
		t, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return filter{}, err
		}
		f.terms = append(f.terms, t)
	}
	return f, nil
}

func parseTerm(text string) (t term, err error) {
	text, t.not = strings.CutPrefix(text, "!")
	kind, rest, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return t, errors.New("a condition is empty")
	case kind == "topic" && rest != "":
		t.match = func(e *entry) (bool, error) { return strings.Contains(string(e.topic), rest), nil }
	case kind == "re":
		t.effort = effortSome
		t.match, err = matchExpression(rest)
	case kind == "jq":
		t.effort = effortMuch
		t.match, err = matchQuery(rest)
	case strings.HasPrefix(text, "."):
		t.effort = effortMuch
		t.match, err = matchQuery(text)
	default:
		t.match = func(e *entry) (bool, error) { return contains(e.data, text), nil }
	}
	return t, err
}

func matchExpression(text string) (func(*entry) (bool, error), error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return func(e *entry) (bool, error) { return re.Match(e.data), nil }, nil
}

func matchQuery(text string) (func(*entry) (bool, error), error) {
	q, err := ui.CompileQuery(text)
	if err != nil {
		return nil, err
	}
	return func(e *entry) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), queryLimit)
		defer cancel()
		ok, err := q.Match(ctx, ui.WithBody{Record: e.record()})
		if ctx.Err() != nil {
			return false, errSlowFilter
		}
		return ok, err
	}, nil
}

// matches applies the filter. A gap is always listed. An expression that fails
// on a message does not match it, and the error says why.
func (f filter) matches(e *entry) (bool, error) {
	if e.kind != kindMessage {
		return true, nil
	}
	for _, t := range f.terms {
		ok, err := t.match(e)
		if err != nil {
			return false, err
		}
		if ok == t.not {
			return false, nil
		}
	}
	return true, nil
}

// contains looks for text in data: regardless of case unless text has a capital.
func contains(data []byte, text string) bool { return indexOf(data, text) >= 0 }

func indexOf(data []byte, text string) int {
	if strings.ContainsFunc(text, unicode.IsUpper) {
		return bytes.Index(data, []byte(text))
	}
	if !isASCII(text) {
		return bytes.Index(bytes.ToLower(data), []byte(text))
	}
	return indexFold(data, text)
}

// indexFold is bytes.Index with ASCII letters of any case equal; text is in
// lower case. It allocates nothing.
func indexFold(data []byte, text string) int {
	for at := 0; at <= len(data)-len(text); at++ {
		if hasFold(data[at:], text) {
			return at
		}
	}
	return -1
}

func hasFold(data []byte, text string) bool {
	for i := range len(text) {
		c := data[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != text[i] {
			return false
		}
	}
	return true
}

// record is the entry in the form of subscribe and export.
func (e *entry) record() ui.Record {
	r := ui.Record{Type: ui.RecordMessage, Time: e.at, ID: e.id, Transport: e.transport, Event: e.event, Conn: e.conn}
	if e.kind == kindGap {
		r.Type, r.Event, r.Text = ui.RecordGap, "gap", e.gapText()
		return r
	}
	topic, retained := string(e.topic), e.retained
	r.Topic, r.Data, r.Retained, r.Seq = &topic, e.data, &retained, e.number
	return r
}
