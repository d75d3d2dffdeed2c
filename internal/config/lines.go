package config

import (
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// block is a table in the text of a file: the lines from its header (or, for the
// root table, from the start) to the next header, as line indexes.
type block struct {
	path        []string
	start, end  int
	body        int // index of the first line behind the header
	isArrayItem bool
}

// splitLines cuts text behind each line feed, so that joining gives it back.
func splitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if n := len(lines); lines[n-1] == "" {
		lines = lines[:n-1]
	}
	return lines
}

// blocks finds the tables of a file. It reads line by line and so takes a line
// inside a multi-line string for what it looks like; whoever writes by it must
// check the outcome with the real parser.
func blocks(lines []string) []block {
	all := []block{{}}
	for i, line := range lines {
		path, array, ok := header(line)
		if !ok {
			continue
		}
		all[len(all)-1].end = i
		all = append(all, block{path: path, start: i, body: i + 1, isArrayItem: array})
	}
	all[len(all)-1].end = len(lines)
	return all
}

// header reads a table header such as [contexts."a b"].
func header(line string) (path []string, array, ok bool) {
	s := strings.TrimSpace(line)
	if !strings.HasPrefix(s, "[") {
		return nil, false, false
	}
	var raw map[string]any
	meta, err := toml.Decode(s+"\n", &raw)
	if err != nil || len(meta.Keys()) == 0 {
		return nil, false, false
	}
	keys := meta.Keys()
	return keys[len(keys)-1], strings.HasPrefix(s, "[["), true
}

// assigned reads the key of a line KEY = VALUE.
func assigned(line string) []string {
	s := strings.TrimSpace(line)
	eq := strings.IndexByte(s, '=')
	if eq <= 0 || strings.HasPrefix(s, "#") || strings.HasPrefix(s, "[") {
		return nil
	}
	var raw map[string]any
	meta, err := toml.Decode(s[:eq]+"= 0\n", &raw)
	if err != nil || len(meta.Keys()) == 0 {
		return nil
	}
	keys := meta.Keys()
	return keys[len(keys)-1]
}

// withValue is a line KEY = VALUE with another value; how it is laid out, its
// comment and its end stay.
func withValue(line, value string) string {
	eq := strings.IndexByte(line, '=') + 1
	rest := line[eq:]
	start := len(rest) - len(strings.TrimLeft(rest, " \t"))
	end := len(strings.TrimRight(rest, " \t\r\n"))
	for i, c := range rest {
		var raw map[string]any
		if c != '#' {
			continue
		}
		if _, err := toml.Decode("v ="+rest[:i]+"\n", &raw); err == nil { // else it is in a string
			end = len(strings.TrimRight(rest[:i], " \t"))
			break
		}
	}
	return line[:eq] + rest[:start] + value + rest[end:]
}

// lineOf finds the line, from 1, of a key or, if it has no line of its own, of
// the closest table or key around it. 0 means not found.
func lineOf(text string, key ...string) int {
	lines := splitLines(text)
	best, depth := 0, 0
	see := func(line int, path []string) {
		shared := min(len(path), len(key))
		if shared > depth && slices.Equal(path[:shared], key[:shared]) {
			best, depth = line+1, shared
		}
	}
	for _, b := range blocks(lines) {
		if b.body > b.start {
			see(b.start, b.path)
		}
		for i := b.body; i < b.end; i++ {
			if k := assigned(lines[i]); k != nil {
				see(i, append(b.path[:len(b.path):len(b.path)], k...))
			}
		}
	}
	return best
}
