package tail

import (
	"bytes"
	"errors"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// sheet is a terminal that keeps what is written.
type sheet struct {
	bytes.Buffer
	broken error
}

func (s *sheet) Write(p []byte) (int, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	return s.Buffer.Write(p)
}
func (*sheet) Close() error { return nil }
func (*sheet) Fd() uintptr  { return ^uintptr(0) }

func TestTerminalPutsTheCursorWhereTheFrameSays(t *testing.T) {
	const begin, end = "\x1b[?2026h", "\x1b[?2026l"
	drawn := func(text string, at place, typing bool) string {
		return ansi.CursorHomePosition + framed(text, at, typing) + "\x1b[K\x1b[24;1H"
	}
	paper := &sheet{}
	term := newTerminal(paper)
	for _, step := range []struct{ rule, write, want string }{
		{"the renderer hides the cursor", ansi.HideCursor, ansi.HideCursor},
		{"the position alone is no frame", ansi.CursorHomePosition, ansi.CursorHomePosition},
		{"nothing is typed", drawn("text", place{}, false), begin + "\x1b[Htext\x1b[K\x1b[24;1H" + end},
		{"typing begins", drawn("a", place{9, 23}, true), begin + "\x1b[Ha\x1b[K\x1b[24;1H\x1b[24;10H\x1b[?25h" + end},
		{"the cursor moves", drawn("ab", place{10, 23}, true), begin + "\x1b[Hab\x1b[K\x1b[24;1H\x1b[24;11H" + end},
		{"its line did not change", "\x1b[H\n\nx\x1b[24;1H", begin + "\x1b[H\n\nx\x1b[24;1H\x1b[24;11H" + end},
		{"the renderer hides it around a suspension", ansi.HideCursor, ansi.HideCursor},
		{"it is shown again", drawn("ab", place{10, 23}, true), begin + "\x1b[Hab\x1b[K\x1b[24;1H\x1b[24;11H\x1b[?25h" + end},
		{"typing ends", drawn("c", place{}, false), begin + "\x1b[Hc\x1b[K\x1b[24;1H\x1b[?25l" + end},
		{"other sequences pass", "\x1b]52;c;eA==\a", "\x1b]52;c;eA==\a"},
	} {
		paper.Reset()
		if n, err := term.Write([]byte(step.write)); n != len(step.write) || err != nil {
			t.Errorf("%s: wrote %d, %v", step.rule, n, err)
		}
		if got := paper.String(); got != step.want {
			t.Errorf("%s: %q, want %q", step.rule, got, step.want)
		}
	}
	paper.broken = errors.New("gone")
	if n, err := term.Write([]byte("\x1b[Hx")); n != 0 || !errors.Is(err, paper.broken) {
		t.Errorf("wrote %d, %v to a terminal that is gone", n, err)
	}
}

// TestMarkHasNoWidth guards what the renderer does to a line: it measures and cuts it.
func TestMarkHasNoWidth(t *testing.T) {
	line := framed("full line", place{8, 0}, true)
	if n := ansi.StringWidth(line); n != 9 {
		t.Errorf("%d columns", n)
	}
	if got := ansi.Truncate(line, 9, ""); got != line {
		t.Errorf("cut to %q", got)
	}
}
