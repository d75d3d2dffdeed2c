package grip

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Bounds of a patch. Copying a value into itself doubles it with each
// operation, so what copies may add up to is bounded as well.
const (
	maxPatchOps  = 1000
	maxPatchCopy = 1 << 20 // bytes of text, counting 16 for each value
)

const (
	errPatchDoc   Reason = "body is not a JSON object or array"
	errPatchOps   Reason = "patch is not a list of operations"
	errPatchSize  Reason = "patch is too large"
	errPatchOp    Reason = "unsupported op"
	errPatchPath  Reason = "location does not exist"
	errPatchInto  Reason = "cannot move location into itself"
	errPatchTest  Reason = "tested values are not equal"
	errPatchValue Reason = "op does not contain 'value'"
)

// ApplyPatch applies a JSON Patch (RFC 6902) to a body that is a JSON object or
// array and returns the new body. A line end behind the body is kept, other
// layout is not; object keys come out sorted. On any failure, a Reason, the
// result is nil and the body to send is empty.
func ApplyPatch(body, patch []byte) ([]byte, error) {
	doc, ok := decodeJSON(body)
	if !ok || !isContainer(doc) {
		return nil, errPatchDoc
	}
	v, _ := decodeJSON(patch)
	ops, ok := v.([]any)
	if !ok {
		return nil, errPatchOps
	}
	if len(ops) > maxPatchOps {
		return nil, errPatchSize
	}
	p := patcher{doc: doc, budget: maxPatchCopy}
	for _, op := range ops {
		if err := p.apply(op); err != nil {
			return nil, err
		}
	}
	if !isContainer(p.doc) {
		return nil, errPatchDoc
	}
	return append(appendJSON(nil, p.doc), lineEnd(body)...), nil
}

func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func lineEnd(body []byte) []byte {
	if bytes.HasSuffix(body, []byte("\r\n")) {
		return body[len(body)-2:]
	}
	if bytes.HasSuffix(body, []byte("\n")) {
		return body[len(body)-1:]
	}
	return nil
}

type patcher struct {
	doc    any
	budget int // what copies may still take
}

func (p *patcher) apply(v any) (err error) {
	op := asObject(v, "op", &err)
	kind, at := op.required("op"), op.required("path")
	if err != nil {
		return err
	}
	path, err := splitPointer(at)
	if err != nil {
		return err
	}
	switch kind {
	case "add", "replace", "test":
		value, ok := op.fields["value"]
		if !ok {
			return errPatchValue
		}
		return p.set(kind, path, value)
	case "remove":
		_, err = p.remove(path)
		return err
	case "move", "copy":
		from := op.required("from")
		if err != nil {
			return err
		}
		return p.transfer(kind, from, at, path)
	}
	return errPatchOp
}

func (p *patcher) set(kind string, path []string, value any) error {
	if kind == "add" {
		return p.add(path, value)
	}
	old, err := find(p.doc, path)
	if err != nil {
		return err
	}
	if kind == "test" {
		if !equalJSON(old, value) {
			return errPatchTest
		}
		return nil
	}
	return p.edit(path, func(node any, key string) (any, error) { return replaceIn(node, key, value) })
}

func (p *patcher) transfer(kind, from, at string, path []string) error {
	source, err := splitPointer(from)
	if err != nil {
		return err
	}
	var value any
	if kind == "move" {
		if strings.HasPrefix(at, from+"/") {
			return errPatchInto
		}
		value, err = p.remove(source)
	} else if value, err = find(p.doc, source); err == nil {
		value, err = p.clone(value)
	}
	if err != nil {
		return err
	}
	return p.add(path, value)
}

func (p *patcher) add(path []string, value any) error {
	return p.edit(path, func(node any, key string) (any, error) { return insertIn(node, key, value) })
}

func (p *patcher) remove(path []string) (any, error) {
	old, err := find(p.doc, path)
	if err != nil {
		return nil, err
	}
	return old, p.edit(path, removeFrom)
}

// edit replaces the container the path ends in by what change makes of it. An
// empty path stands for the whole document, which change gets as a container of
// one with the key "0".
func (p *patcher) edit(path []string, change func(node any, key string) (any, error)) error {
	if len(path) == 0 {
		return p.editRoot(change)
	}
	doc, err := editIn(p.doc, path, change)
	if err == nil {
		p.doc = doc
	}
	return err
}

func (p *patcher) editRoot(change func(node any, key string) (any, error)) error {
	v, err := change([]any{p.doc}, "0")
	if err != nil {
		return err
	}
	// Inserting puts the new value first, replacing leaves it alone; removing
	// leaves nothing, which is no document.
	if list := v.([]any); len(list) > 0 {
		p.doc = list[0]
		return nil
	}
	return errPatchDoc
}

func editIn(node any, path []string, change func(node any, key string) (any, error)) (any, error) {
	if len(path) == 1 {
		return change(node, path[0])
	}
	child, err := find(node, path[:1])
	if err != nil {
		return nil, err
	}
	if child, err = editIn(child, path[1:], change); err != nil {
		return nil, err
	}
	return replaceIn(node, path[0], child)
}

func find(node any, path []string) (any, error) {
	for _, key := range path {
		switch n := node.(type) {
		case map[string]any:
			v, ok := n[key]
			if !ok {
				return nil, errPatchPath
			}
			node = v
		case []any:
			i, ok := index(key, len(n))
			if !ok {
				return nil, errPatchPath
			}
			node = n[i]
		default:
			return nil, errPatchPath
		}
	}
	return node, nil
}

// replaceIn sets a place that is known to exist.
func replaceIn(node any, key string, value any) (any, error) {
	switch n := node.(type) {
	case map[string]any:
		n[key] = value
		return n, nil
	case []any:
		if i, ok := index(key, len(n)); ok {
			n[i] = value
			return n, nil
		}
	}
	return nil, errPatchPath
}

// insertIn sets a key of an object, or puts a value in front of an array's
// element; "-" and the length mean the end.
func insertIn(node any, key string, value any) (any, error) {
	n, ok := node.([]any)
	if !ok {
		return replaceIn(node, key, value)
	}
	if key == "-" {
		return append(n, value), nil
	}
	i, ok := index(key, len(n)+1)
	if !ok {
		return nil, errPatchPath
	}
	n = append(n, nil)
	copy(n[i+1:], n[i:])
	n[i] = value
	return n, nil
}

// removeFrom takes out a place that is known to exist.
func removeFrom(node any, key string) (any, error) {
	switch n := node.(type) {
	case map[string]any:
		delete(n, key)
		return n, nil
	case []any:
		if i, ok := index(key, len(n)); ok {
			return append(n[:i], n[i+1:]...), nil
		}
	}
	return nil, errPatchPath
}

// index reads an array index below n: digits without leading zeros (RFC 6901, 4).
func index(key string, n int) (int, bool) {
	i, err := strconv.ParseUint(key, 10, 31)
	if err != nil || int(i) >= n || len(key) > 1 && key[0] == '0' {
		return 0, false
	}
	return int(i), true
}

// splitPointer reads a JSON Pointer (RFC 6901).
func splitPointer(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, errPatchPath
	}
	path := strings.Split(s[1:], "/")
	for i, key := range path {
		path[i] = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
	}
	return path, nil
}

// clone copies a value, so that a later change of one place does not show in
// the other.
func (p *patcher) clone(v any) (any, error) {
	if p.budget -= 16; p.budget < 0 {
		return nil, errPatchSize
	}
	switch v := v.(type) {
	case map[string]any:
		return p.cloneObject(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = p.clone(v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case string:
		p.budget -= len(v)
	case json.Number:
		p.budget -= len(v)
	}
	return v, nil
}

func (p *patcher) cloneObject(m map[string]any) (any, error) {
	out := make(map[string]any, len(m))
	for key, v := range m {
		p.budget -= len(key)
		var err error
		if out[key], err = p.clone(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// equalJSON compares values as RFC 6902, 4.6 does: numbers by what they are,
// the rest by content.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && equalObjects(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && equalLists(a, b)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(a, b)
	}
	return a == b
}

func equalObjects(a, b map[string]any) bool {
	for key, v := range a {
		if w, ok := b[key]; !ok || !equalJSON(v, w) {
			return false
		}
	}
	return len(a) == len(b)
}

func equalLists(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equalJSON(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalNumbers(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
}
