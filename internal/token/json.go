package token

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The app's JSON reader is stricter than encoding/json: names are compared
// exactly, a known name may not come twice, text must be UTF-8 with whole
// surrogate pairs, and numbers must fit a float. Hence this small one. It
// checks a document's syntax once and leaves the values as they stand.

// nestingMax is the deepest nesting of arrays and objects the app reads.
const nestingMax = 127

var errJSON = errors.New("not a JSON object")

// eachMember calls f with the name and the raw value of each member of the
// object that doc is, and stops at the first error. A syntax error behind the
// member may come after the call.
func eachMember(doc []byte, f func(name string, raw []byte) error) error {
	if !utf8.Valid(doc) {
		return errJSON
	}
	p := parser{doc: doc}
	p.space()
	if p.peek() != '{' || !p.object(nestingMax, f) {
		return cmp.Or(p.err, errJSON)
	}
	if p.space(); p.pos != len(doc) {
		return errJSON
	}
	return nil
}

// parser walks a document. Its methods report whether what they name was there
// and was well formed; after false the position means nothing.
type parser struct {
	doc []byte
	pos int
	err error // from a member function, if that is what failed
}

// peek is the next byte, 0 at the end; 0 never begins anything in JSON.
func (p *parser) peek() byte {
	if p.pos < len(p.doc) {
		return p.doc[p.pos]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) space() {
	for c := p.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = p.peek() {
		p.pos++
	}
}

func (p *parser) value(depth int) bool {
	switch c := p.peek(); c {
	case '"':
		return p.text()
	case '{':
		return p.object(depth, nil)
	case '[':
		return p.array(depth, nil)
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	}
	return p.number()
}

// object walks an object with at most depth levels; f may be nil.
func (p *parser) object(depth int, f func(string, []byte) error) bool {
	return p.list('{', '}', depth, func() bool {
		name := p.pos
		if !p.text() {
			return false
		}
		nameEnd := p.pos
		if p.space(); !p.take(':') {
			return false
		}
		p.space()
		value := p.pos
		if !p.value(depth - 1) {
			return false
		}
		if f != nil {
			p.err = f(unquote(p.doc[name:nameEnd]), p.doc[value:p.pos])
		}
		return p.err == nil
	})
}

// array walks an array with at most depth levels; f may be nil.
func (p *parser) array(depth int, f func([]byte)) bool {
	return p.list('[', ']', depth, func() bool {
		start := p.pos
		if !p.value(depth - 1) {
			return false
		}
		if f != nil {
			f(p.doc[start:p.pos])
		}
		return true
	})
}

// list walks what an array and an object have in common.
func (p *parser) list(open, end byte, depth int, item func() bool) bool {
	if depth == 0 || !p.take(open) {
		return false
	}
	if p.space(); p.take(end) {
		return true
	}
	for {
		p.space()
		if !item() {
			return false
		}
		if p.space(); !p.take(',') {
			return p.take(end)
		}
	}
}

func (p *parser) word(w string) bool {
	found := bytes.HasPrefix(p.doc[p.pos:], []byte(w))
	p.pos += len(w)
	return found
}

func (p *parser) text() bool {
	if !p.take('"') {
		return false
	}
	for p.pos < len(p.doc) {
		c := p.doc[p.pos]
		p.pos++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\' && !p.escape():
			return false
		}
	}
	return false
}

// escape reads what is behind a backslash. Half a surrogate pair is refused.
func (p *parser) escape() bool {
	c := p.peek()
	p.pos++
	if c != 'u' {
		return strings.IndexByte(`"\/bfnrt`, c) >= 0
	}
	r, ok := p.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return ok
	}
	if !p.take('\\') || !p.take('u') {
		return false
	}
	low, ok := p.hex4()
	return ok && utf16.DecodeRune(r, low) != utf8.RuneError
}

func (p *parser) hex4() (rune, bool) {
	if len(p.doc)-p.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.doc[p.pos:p.pos+4]), 16, 16)
	p.pos += 4
	return rune(n), err == nil
}

func (p *parser) number() bool {
	start := p.pos
	p.take('-')
	if !p.take('0') && !p.digits() {
		return false
	}
	if p.take('.') && !p.digits() {
		return false
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return false
		}
	}
	return fitsFloat(p.doc[start:p.pos])
}

func (p *parser) digits() bool {
	start := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}

// fitsFloat spares the usual short integers the conversion.
func fitsFloat(number []byte) bool {
	if len(number) < 20 && !bytes.ContainsAny(number, "eE") {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

// unquote decodes a JSON string that was found well formed.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	// The text was checked, so decoding cannot fail.
	_ = json.Unmarshal(raw, &s)
	return s
}

// stringList decodes an array of strings that was found well formed; false if
// it is anything else.
func stringList(raw []byte) ([]string, bool) {
	p, list, all := parser{doc: raw}, []string{}, true
	isArray := p.array(nestingMax, func(item []byte) {
		if all = all && item[0] == '"'; all {
			list = append(list, unquote(item))
		}
	})
	return list, isArray && all
}
