package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Put writes the context name. Only its table changes, and in it only the lines
// whose value differs; a table that is new goes to the end of the file. The file
// and its directory are made if they are missing. Errors are *Error.
func (c *Contexts) Put(name string, ctx Context) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return c.change(func(c *Contexts) (*Contexts, error) { return c.with(name, ctx) })
}

// with is c after Put, not written yet.
func (c *Contexts) with(name string, ctx Context) (*Contexts, error) {
	lines := splitLines(c.text)
	want := maps.Clone(c.named)
	want[name] = ctx
	b, found := findTable(lines, name)
	if !found {
		lines = appendTable(lines, name, ctx)
	} else {
		lines = slices.Concat(lines[:b.body], setKeys(lines[b.body:b.end], c.named[name], ctx), lines[b.end:])
	}
	return c.edited(lines, c.Current, want)
}

// Delete removes the table of the context name. If it was the selected one,
// Local is selected after. Errors are *Error.
func (c *Contexts) Delete(name string) error {
	return c.change(func(c *Contexts) (*Contexts, error) { return c.without(name) })
}

// without is c after Delete, not written yet.
func (c *Contexts) without(name string) (*Contexts, error) {
	lines := splitLines(c.text)
	b, found := findTable(lines, name)
	if !found {
		return nil, &Error{Reason: NotEditable, File: c.Path, Text: fmt.Sprintf("the table of context %q cannot be found; remove it by hand", name)}
	}
	want := maps.Clone(c.named)
	delete(want, name)
	lines = slices.Delete(lines, b.start, b.end)
	for { // tables within it, such as [contexts.NAME.key]
		sub, found := findWithin(lines, name)
		if !found {
			break
		}
		lines = slices.Delete(lines, sub.start, sub.end)
	}
	current := c.Current
	if current == name {
		current = Local
		lines = setCurrent(lines, current)
	}
	return c.edited(lines, current, want)
}

// Use selects the context name. Errors are *Error.
func (c *Contexts) Use(name string) error {
	return c.change(func(c *Contexts) (*Contexts, error) {
		if _, ok := c.Get(name); !ok {
			return nil, c.Unknown(name)
		}
		return c.edited(setCurrent(splitLines(c.text), name), name, c.named)
	})
}

// Unknown is the error for a context that does not exist.
func (c *Contexts) Unknown(name string) *Error {
	return &Error{Reason: UnknownContext, Text: fmt.Sprintf("there is no context %q", name),
		Detail: "there are: " + strings.Join(c.Names(), ", "), Hint: "pubsubctl context list"}
}

// CheckName refuses names that would be hard to type or to quote: a name has 1
// to 64 letters, digits, dots, dashes and underscores and starts with none of
// the punctuation.
func CheckName(name string) error {
	const first = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 64 || !strings.ContainsAny(name[:1], first) || strings.Trim(name, first+"._-") != "" {
		return &Error{Reason: BadValue, Text: fmt.Sprintf("%q is not a context name; use letters, digits, dot, dash and underscore", name)}
	}
	return nil
}

// findTable finds the table [contexts.NAME]; sub-tables are not part of it.
func findTable(lines []string, name string) (block, bool) {
	for _, b := range blocks(lines) {
		if slices.Equal(b.path, []string{"contexts", name}) && !b.isArrayItem {
			b.end = trimBlock(lines, b)
			return b, true
		}
	}
	return block{}, false
}

// findWithin finds a table below [contexts.NAME].
func findWithin(lines []string, name string) (block, bool) {
	for _, b := range blocks(lines) {
		if len(b.path) > 2 && slices.Equal(b.path[:2], []string{"contexts", name}) {
			b.end = trimBlock(lines, b)
			return b, true
		}
	}
	return block{}, false
}

// trimBlock gives the end of b without the comments and blank lines in front of
// the next header, which belong to what follows.
func trimBlock(lines []string, b block) int {
	end := b.end
	if end == len(lines) {
		return end
	}
	for end > b.body && (strings.TrimSpace(lines[end-1]) == "" || strings.HasPrefix(strings.TrimSpace(lines[end-1]), "#")) {
		end--
	}
	return end
}

// pair is a key of a context's table and its value in TOML; an empty value means
// that the key is absent.
type pair struct{ key, value string }

func (c Context) pairs() []pair {
	p := []pair{
		{"url", quoted(c.URL)},
		{"service_id", quoted(c.ServiceID)},
		{"api_token", quoted(c.APIToken.source())},
		{"api_url", quoted(c.APIURL)},
		{"key", ""},
		{"token", quoted(c.Token.source())},
		{"fastly_key", quoted(c.FastlyKey.source())},
		{"protected", ""},
	}
	if c.Key.ID != "" {
		p[4].value = "{ id = " + quoted(c.Key.ID) + ", secret = " + quoted(c.Key.Secret.source()) + " }"
	}
	if c.Protected {
		p[7].value = "true"
	}
	return p
}

// quoted writes a TOML basic string; its escapes are a subset of Go's except
// for \x, which strconv uses for what JSON and TOML write as \u.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func appendTable(lines []string, name string, ctx Context) []string {
	if len(lines) == 0 {
		lines = []string{"version = 1\n"}
	}
	last := len(lines) - 1
	if !strings.HasSuffix(lines[last], "\n") {
		lines[last] += "\n"
	}
	header := name
	if strings.Contains(name, ".") {
		header = strconv.Quote(name)
	}
	if strings.TrimSpace(lines[last]) != "" {
		lines = append(lines, "\n")
	}
	lines = append(lines, "[contexts."+header+"]\n")
	return append(lines, setKeys(nil, Context{}, ctx)...)
}

// setKeys changes the lines of a table that says old so that it says ctx. Lines
// that say it already stay as they are, comments and unknown lines too.
func setKeys(body []string, old, ctx Context) []string {
	had := map[string]string{}
	for _, p := range old.pairs() {
		had[p.key] = p.value
	}
	for _, p := range ctx.pairs() {
		if had[p.key] == p.value {
			continue
		}
		body = setLine(body, p)
	}
	return body
}

// setLine replaces the line of a key, removes it if the value is empty, or adds
// it behind the last line that holds something.
func setLine(body []string, p pair) []string {
	line := p.key + " = " + p.value + "\n"
	for i := range body {
		if !slices.Equal(assigned(body[i]), []string{p.key}) {
			continue
		}
		if p.value == "" {
			return slices.Delete(slices.Clone(body), i, i+1)
		}
		body = slices.Clone(body)
		body[i] = withValue(body[i], p.value)
		return body
	}
	if p.value == "" {
		return body
	}
	at := len(body)
	for at > 0 && strings.TrimSpace(body[at-1]) == "" {
		at--
	}
	body = slices.Clone(body)
	if at > 0 && !strings.HasSuffix(body[at-1], "\n") {
		body[at-1] += "\n"
	}
	return slices.Insert(body, at, line)
}

// setCurrent sets the root key current, in its line or in a new one behind version.
func setCurrent(lines []string, name string) []string {
	if len(lines) == 0 {
		lines = []string{"version = 1\n"}
	}
	line := "current = " + quoted(name) + "\n"
	root := blocks(lines)[0]
	at := 0
	for i := root.body; i < root.end; i++ {
		switch key := assigned(lines[i]); {
		case slices.Equal(key, []string{"current"}):
			lines = slices.Clone(lines)
			lines[i] = withValue(lines[i], quoted(name))
			return lines
		case slices.Equal(key, []string{"version"}):
			at = i + 1
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
	}
	return slices.Insert(slices.Clone(lines), at, line)
}

// edited reads the changed lines back and refuses them unless they say exactly
// what is wanted.
func (c *Contexts) edited(lines []string, current string, want map[string]Context) (*Contexts, error) {
	got, err := parseContexts(c.Path, strings.Join(lines, ""))
	if err != nil || got.Current != current || !maps.Equal(got.named, want) {
		return nil, &Error{Reason: NotEditable, File: c.Path, Err: err,
			Text: "is written in a way that cannot be changed safely; edit it by hand"}
	}
	return got, nil
}
