package tail

import (
	"io"
	"strings"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// caretOn is what a text field of bubbles writes in front of the character that
// its cursor is on. It is not drawn: the terminal's own cursor goes there, which
// needs no colour, and which input methods and screen readers follow.
const caretOn = "\x1b[7m"

// newCursor is a field's cursor that always marks its place.
func newCursor() cursor.Model {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.ANSI) // else there would be no mark
	c := cursor.New()
	c.Style = r.NewStyle()
	c.SetMode(cursor.CursorStatic)
	return c
}

// place is a cell of the screen.
type place struct{ x, y int }

// caret is where the terminal's cursor belongs, if something is being typed.
func (m Model) caret() (at place, ok bool) {
	top := m.height - 1 - m.publishHeight()
	switch {
	case m.prompt() != "":
		at, ok = caretIn(m.input.View(), columns(m.prompt()), m.height-1)
	case m.mode != modePublish:
		return place{}, false
	case m.draft.onBody:
		at, ok = caretIn(m.draft.bodyView, 2, top+2)
	default:
		at, ok = caretIn(m.draft.topicView, 8, top+1)
	}
	at.x, at.y = min(at.x, m.width-1), min(at.y, m.height-1)
	return at, ok
}

// caretIn finds the mark in the view of a field that begins at x, y.
func caretIn(view string, x, y int) (place, bool) {
	before, _, ok := strings.Cut(view, caretOn)
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return place{x + columns(clean(ansi.Strip(line))), y + strings.Count(before, "\n")}, ok
}

// fieldText is a line of a text field, which holds what was pasted.
func fieldText(line string, width int) string {
	text, _ := head(clean(strings.TrimRight(ansi.Strip(line), " ")), max(0, width))
	return text
}
