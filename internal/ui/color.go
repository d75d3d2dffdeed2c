package ui

import "strings"

// Env looks up an environment variable; a variable set to nothing counts as unset.
type Env func(name string) string

// EnvOf makes an Env of NAME=VALUE strings, the last of a name winning, as
// os.Environ and exec.Cmd.Env have them.
func EnvOf(environ []string) Env {
	vars := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			vars[name] = value
		}
	}
	return func(name string) string { return vars[name] }
}

// useColor decides on colour for one stream: the usual variables, then whether
// the stream is a terminal. A flag is applied later, by Streams.Settle.
func useColor(env Env, tty bool) bool {
	switch {
	case env("NO_COLOR") != "" || env("CLICOLOR") == "0" || env("TERM") == "dumb":
		return false
	case env("CLICOLOR_FORCE") != "" && env("CLICOLOR_FORCE") != "0":
		return true
	}
	return tty
}

// useGlyphs reports whether marks other than ASCII may be used.
func useGlyphs(env Env) bool {
	if env("ACCESSIBLE") != "" {
		return false
	}
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// Style is one of the few looks text can have. It repeats what a word or a mark
// says already, so nothing is lost where colour is off.
type Style string

// The styles, from the palette of 16 colours that every terminal lets its user choose.
const (
	Plain  Style = ""
	Dim    Style = "2"
	Bold   Style = "1"
	Invert Style = "7"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Paint returns text in the style if on is set, else text itself. The text must
// be escaped before.
func (s Style) Paint(on bool, text string) string {
	if !on || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Mark is a verdict as a short word or glyph.
type Mark int

// The marks, in the order of how much attention they ask for.
const (
	MarkOK Mark = iota
	MarkSkip
	MarkWarn
	MarkFail
)

// Text gives the mark: one glyph, or a word where glyphs are off.
func (m Mark) Text(glyphs bool) string {
	words, signs := [...]string{"ok", "skip", "warn", "FAIL"}, [...]string{"✓", "-", "!", "✗"}
	if glyphs {
		return signs[m]
	}
	return words[m]
}

// Style gives the style that repeats the mark.
func (m Mark) Style() Style {
	return [...]Style{Green, Dim, Yellow, Red}[m]
}
