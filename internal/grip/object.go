package grip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// decodeJSON reads exactly one JSON value. Numbers stay text, so that large
// ones survive. It goes through a generic tree, not through struct tags, because
// those match names in any case and cannot tell a null from an absence.
func decodeJSON(b []byte) (any, bool) {
	if !utf8.Valid(b) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

// object is a JSON object being read. Its methods note the first fault of the
// whole reading in err and return zero values from then on, so that a reader
// is a list of fields and one check at the end.
type object struct {
	name   string // how reasons call it
	fields map[string]any
	err    *error
}

// asObject takes v for an object; if it is none, the fault is noted and all
// fields are absent.
func asObject(v any, name string, err *error) object {
	o := object{name: name, err: err}
	var ok bool
	if o.fields, ok = v.(map[string]any); !ok {
		o.fail("%s is not an object", name)
	}
	return o
}

func (o object) fail(format string, args ...any) {
	if *o.err == nil {
		*o.err = Reason(fmt.Sprintf(format, args...))
	}
}

func (o object) wrongType(key string) { o.fail("%s contains '%s' with wrong type", o.name, key) }
func (o object) invalid(key string)   { o.fail("%s contains '%s' with invalid value", o.name, key) }
func (o object) missing(key string)   { o.fail("%s does not contain '%s'", o.name, key) }

func (o object) has(key string) bool {
	_, ok := o.fields[key]
	return ok
}

// text returns the string under key, "" if it is absent.
func (o object) text(key string) string {
	v, ok := o.fields[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		o.wrongType(key)
	}
	return s
}

func (o object) required(key string) string {
	if !o.has(key) {
		o.missing(key)
	}
	return o.text(key)
}

// list returns the list under key, nil if it is absent.
func (o object) list(key string) []any {
	v, ok := o.fields[key]
	if !ok {
		return nil
	}
	l, ok := v.([]any)
	if !ok {
		o.wrongType(key)
	}
	return l
}

// texts returns the strings under key, nil only if it is absent. what names the
// list in the reason for an element of another type.
func (o object) texts(key, what string) []string {
	if !o.has(key) {
		return nil
	}
	list := o.list(key)
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			o.fail("%s contains %s with wrong type", key, what)
		}
		out = append(out, s)
	}
	return out
}

// child returns the object under key; ok is false if it is absent.
func (o object) child(key, name string) (c object, ok bool) {
	v, ok := o.fields[key]
	if !ok {
		return object{}, false
	}
	fields, isObject := v.(map[string]any)
	if !isObject {
		o.wrongType(key)
	}
	return object{name: name, fields: fields, err: o.err}, true
}

// number returns the whole number under key, or def if it is absent. A string
// of digits will do, as with Pushpin; a truth value or other text will not.
// Values are kept to 32 bits.
func (o object) number(key string, def int) int {
	var text string
	switch v := o.fields[key].(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	default:
		if o.has(key) {
			o.wrongType(key)
		}
		return def
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		o.wrongType(key)
		return def
	}
	return int(f)
}

// stringMap returns the object under key as strings, nil if it is absent or
// empty.
func (o object) stringMap(key string) map[string]string {
	c, _ := o.child(key, "'"+key+"'")
	if len(c.fields) == 0 {
		return nil
	}
	out := make(map[string]string, len(c.fields))
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		out[name] = c.text(name)
	}
	return out
}

// content returns the bytes under bin, in base64, or else under plain. It
// returns nil only if both are absent.
func (o object) content(bin, plain string) []byte {
	if o.has(bin) {
		return decodeBase64(o.text(bin))
	}
	if o.has(plain) {
		return []byte(o.text(plain))
	}
	return nil
}

// headers reads a list of pairs, or an object, whose names come in order as the
// order in the text is lost.
func (o object) headers() [][2]string {
	switch v := o.fields["headers"].(type) {
	case []any:
		return o.pairs(v)
	case map[string]any:
		named := object{name: "headers", fields: v, err: o.err}
		out := make([][2]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, [2]string{name, named.text(name)})
		}
		return nilIfEmpty(out)
	}
	if o.has("headers") {
		o.wrongType("headers")
	}
	return nil
}

func (o object) pairs(list []any) [][2]string {
	var out [][2]string
	for _, v := range list {
		pair, ok := v.([]any)
		if !ok {
			o.fail("headers contains element with wrong type")
			return nil
		}
		if len(pair) != 2 {
			o.fail("headers contains list with wrong number of elements")
			return nil
		}
		name, nameOK := pair[0].(string)
		value, valueOK := pair[1].(string)
		if !nameOK {
			o.fail("header contains name element with wrong type")
		}
		if !valueOK {
			o.fail("header contains value element with wrong type")
		}
		out = append(out, [2]string{name, value})
	}
	return out
}

// appendJSON appends v as JSON without the escapes meant for HTML, which would
// make payloads longer. v is one of this package's wire types, so that
// failing to encode it is a mistake in the program.
func appendJSON(dst []byte, v any) []byte {
	buf := bytes.NewBuffer(dst)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("grip: encode %T: %v", v, err))
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
