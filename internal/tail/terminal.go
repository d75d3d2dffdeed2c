package tail

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/charmbracelet/x/ansi"
	tty "github.com/charmbracelet/x/term"
)

// A frame says where the cursor belongs in a string for applications (APC), which
// has no width and which terminal takes out again.
const markBegins, markEnds = "\x1b_cursor ", "\x1b\\"

// framed is a drawn screen as bubbletea gets it.
func framed(text string, at place, typing bool) string {
	if !typing {
		return text + markBegins + markEnds
	}
	return text + fmt.Sprintf("%s%d;%d%s", markBegins, at.y+1, at.x+1, markEnds)
}

// terminal is the terminal as bubbletea sees it. It adds what the renderer of
// bubbletea 1 lacks: the terminal's cursor stands where something is typed, and a
// terminal that knows synchronised output shows a frame at once, without tearing.
type terminal struct {
	tty.File // asked for its size and its mode

	mu    sync.Mutex // guards the following
	at    string     // where the cursor belongs, as "row;column"; empty: nowhere
	shown bool       // the cursor is visible
	out   []byte     // reused from frame to frame
}

// newTerminal makes a terminal of out, if that is a terminal.
func newTerminal(out io.Writer) io.Writer {
	if f, ok := out.(tty.File); ok {
		return &terminal{File: f}
	}
	return out
}

// Write writes p, which is either one frame or one or more control sequences.
func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == len(ansi.CursorHomePosition) || !bytes.HasPrefix(p, []byte(ansi.CursorHomePosition)) {
		s.watch(p)
		return s.File.Write(p)
	}
	s.out = s.appendFrame(s.out[:0], p)
	if _, err := s.File.Write(s.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// watch notices what the renderer itself does with the cursor, which is at the
// start, at the end, and around a suspension.
func (s *terminal) watch(p []byte) {
	switch string(p) {
	case ansi.ShowCursor:
		s.shown = true
	case ansi.HideCursor:
		s.shown = false
	}
}

// appendFrame appends a frame of the renderer without the mark and with what is
// added. Lines that did not change are not in it, so there may be no mark.
func (s *terminal) appendFrame(b, p []byte) []byte {
	b = append(b, ansi.SetModeSynchronizedOutput...)
	before, rest, marked := bytes.Cut(p, []byte(markBegins))
	b = append(b, before...)
	if marked {
		at, after, _ := bytes.Cut(rest, []byte(markEnds))
		s.at = string(at)
		b = append(b, after...)
	}
	if s.at != "" {
		b = append(append(append(b, "\x1b["...), s.at...), 'H')
	}
	if want := s.at != ""; want != s.shown {
		s.shown = want
		toggle := ansi.HideCursor
		if want {
			toggle = ansi.ShowCursor
		}
		b = append(b, toggle...)
	}
	return append(b, ansi.ResetModeSynchronizedOutput...)
}
