package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// maxDepth is how deep JSON is taken apart; deeper ones are shown raw.
const maxDepth = 100

// rootPath is the path of the outermost value.
const rootPath = "/"

// prettyLines lays JSON out, with what is folded on one line. What is not JSON is
// shown raw, with the reason.
func prettyLines(data []byte, folded map[string]bool, width int) []detailLine {
	p := pretty{folded: folded, width: width, dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber() // numbers stay as they were written
	if why := notJSON(data); why != "" {
		return append([]detailLine{{spans: []span{{ui.Dim, cut(why, width, "")}}}}, rawLines(data, width)...)
	}
	p.value(nil, rootPath, 0)
	return p.wrap()
}

// notJSON says why data cannot be laid out, empty if it can.
func notJSON(data []byte) string {
	var syntax *json.SyntaxError
	if len(bytes.TrimSpace(data)) == 0 {
		return "(empty)"
	}
	if isBinary(data) {
		return fmt.Sprintf("binary, %s; 3 shows it in hex", sizeText(uint64(len(data))))
	}
	var v json.RawMessage
	if err := json.Unmarshal(data, &v); err != nil {
		if asSyntax(err, &syntax) && looksLikeJSON(data) {
			line, column := lineColumn(data, syntax.Offset)
			return clean(fmt.Sprintf("not JSON: line %d, column %d: %v", line, column, err))
		}
		return "text"
	}
	if depth(data) > maxDepth {
		return fmt.Sprintf("JSON nested more than %d deep, shown raw", maxDepth)
	}
	return ""
}

// looksLikeJSON reports whether the writer seems to have meant JSON.
func looksLikeJSON(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && (data[0] == '{' || data[0] == '[' || data[0] == '"')
}

// lineColumn is where a byte is, both from 1.
func lineColumn(data []byte, offset int64) (line, column int) {
	before := data[:min(int64(len(data)), max(0, offset-1))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// depth is how deep valid JSON is nested.
func depth(data []byte) int {
	now, most, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			most = max(most, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return most
}

// pretty walks through the tokens of valid JSON and makes lines.
type pretty struct {
	dec    *json.Decoder
	folded map[string]bool
	width  int
	lines  []detailLine
	hide   int // folds around what is read now
}

// value writes one value behind prefix, which is its key.
func (p *pretty) value(prefix []span, path string, level int) {
	tok, err := p.dec.Token()
	if err != nil {
		return // it was valid when it was checked
	}
	open, nested := tok.(json.Delim)
	if !nested {
		p.line(append(prefix, scalar(tok)), "", level)
		return
	}
	closing := (open + 2).String() // { } and [ ] are two apart in ASCII
	if !p.dec.More() {
		_, _ = p.dec.Token()
		p.line(append(prefix, span{text: open.String() + closing}), "", level)
		return
	}
	p.line(append(prefix, span{text: open.String()}), path, level)
	at := len(p.lines) - 1
	if p.folded[path] {
		p.hide++
	}
	count := p.members(open == '{', path, level+1)
	_, _ = p.dec.Token()
	if !p.folded[path] {
		p.line([]span{{text: closing}}, "", level)
		return
	}
	if p.hide--; p.hide == 0 {
		l := &p.lines[at]
		l.spans = append(l.spans, span{ui.Dim, fmt.Sprintf(" %d ", count)}, span{text: closing})
	}
}

// members writes what is inside braces or brackets.
func (p *pretty) members(object bool, path string, level int) (count int) {
	for ; p.dec.More(); count++ {
		name, prefix := strconv.Itoa(count), []span(nil)
		if object {
			tok, _ := p.dec.Token()
			name, _ = tok.(string)
			prefix = []span{{ui.Cyan, quoted(name)}, {text: ": "}}
		}
		p.value(prefix, path+name+"/", level)
		if p.dec.More() && p.hide == 0 {
			last := &p.lines[len(p.lines)-1]
			last.spans = append(last.spans, span{text: ","})
		}
	}
	return count
}

func (p *pretty) line(spans []span, path string, level int) {
	if p.hide > 0 {
		return
	}
	indent := span{text: spaces(min(2*level, p.width/2))}
	p.lines = append(p.lines, detailLine{spans: append([]span{indent}, spans...), path: path})
}

func (p *pretty) wrap() []detailLine {
	var lines []detailLine
	for _, l := range p.lines {
		lines = append(lines, wrapped(l, p.width)...)
	}
	return lines
}

func scalar(tok json.Token) span {
	switch v := tok.(type) {
	case string:
		return span{ui.Green, quoted(v)}
	case json.Number:
		return span{ui.Yellow, clean(v.String())}
	case bool:
		return span{ui.Yellow, strconv.FormatBool(v)}
	}
	return span{ui.Dim, "null"}
}

// quoted is a string as JSON has it, fit for the screen.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return clean(string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
}
