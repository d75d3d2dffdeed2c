package grip

import "strings"

// spaces are the bytes trimmed around names and values. Not strings.TrimSpace:
// a no-break space is part of a channel's name.
const spaces = " \t\r\n\v\f"

func trim(s string) string { return strings.Trim(s, spaces) }

// splitList cuts a list header at the commas outside double quotes. Empty
// entries are dropped.
func splitList(value string) []string {
	var entries []string
	for value != "" {
		end := unquotedComma(value)
		if entry := trim(value[:end]); entry != "" {
			entries = append(entries, entry)
		}
		value = value[min(end+1, len(value)):]
	}
	return entries
}

// splitLists does the same for a header given on several lines.
func splitLists(values []string) []string {
	var entries []string
	for _, v := range values {
		entries = append(entries, splitList(v)...)
	}
	return entries
}

// unquotedComma returns where the first entry of a list ends. A quote that
// never closes hides all commas behind it.
func unquotedComma(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

// entry is one element of a header: what stands before the first semicolon,
// never unquoted, and the parameters behind it.
type entry struct {
	first  string
	params []param
}

type param struct{ name, value string }

// get returns the first parameter with that name in any case.
func (e entry) get(name string) (value string, ok bool) {
	for _, p := range e.params {
		if strings.EqualFold(p.name, name) {
			return p.value, true
		}
	}
	return "", false
}

func parseEntry(s string) (e entry, ok bool) {
	first, rest, _ := strings.Cut(s, ";")
	e.first = trim(first)
	e.params, ok = parseParams(rest)
	return e, ok
}

// parseParams reads name=value pairs separated by semicolons. It fails only if
// a quoted value does not end.
func parseParams(s string) (params []param, ok bool) {
	for s != "" {
		var p param
		if p, s, ok = nextParam(s); !ok {
			return nil, false
		}
		params = append(params, p)
	}
	return params, true
}

func nextParam(s string) (p param, rest string, ok bool) {
	at := strings.IndexAny(s, "=;")
	if at < 0 {
		return param{name: trim(s)}, "", true
	}
	p.name = trim(s[:at])
	if s[at] == ';' {
		return p, s[at+1:], true
	}
	s = s[at+1:]
	if strings.HasPrefix(s, `"`) {
		p.value, rest, ok = cutQuoted(s[1:])
		return p, rest, ok
	}
	value, rest, _ := strings.Cut(s, ";")
	p.value = trim(value)
	return p, rest, true
}

// cutQuoted reads a value whose opening quote is gone. Whatever stands between
// the closing quote and the next semicolon is ignored.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			_, rest, _ = strings.Cut(s[i+1:], ";")
			return b.String(), rest, true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// writeParam appends "; name=value", quoted only if the value needs it.
func writeParam(b *strings.Builder, name, value string) {
	b.WriteString("; " + name + "=")
	if strings.ContainsAny(value, `",;`) || trim(value) != value {
		writeQuoted(b, value)
		return
	}
	b.WriteString(value)
}

func writeQuoted(b *strings.Builder, value string) {
	b.WriteByte('"')
	for i := 0; i < len(value); i++ {
		if value[i] == '"' || value[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	b.WriteByte('"')
}

// fieldSafe reports whether HTTP can carry a value in a header field.
func fieldSafe(value string) bool {
	for i := 0; i < len(value); i++ {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
