package ui

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Streams is what a command reads from and writes to, with the decisions that
// depend on what those are. It is made once, by System or Buffers, settled once
// when the flags are known, and read only afterwards; Note, Warn and Problem
// may be called from any goroutine.
type Streams struct {
	// In is stdin. A command reads it only where it says so, never by the way.
	In io.Reader
	// Out takes the data asked for and nothing else; Err takes everything else.
	Out, Err io.Writer

	// InTTY, OutTTY and ErrTTY say which streams are terminals.
	InTTY, OutTTY, ErrTTY bool
	// InData says that stdin is a pipe, a file or a socket, which a command may
	// read when an argument is absent. It is false for a terminal and for devices.
	InData bool
	// Width is the number of columns of the terminal on Out; 0 if Out is none,
	// and then nothing is cut.
	Width int
	// OutColor and ErrColor say whether escapes may be written to the stream.
	OutColor, ErrColor bool
	// Glyphs allows marks that are not ASCII.
	Glyphs bool

	// JSON is set by --json and --jq: only JSON on Out, no notes, no questions.
	JSON bool
	// Quiet is set by --quiet: nothing but errors on Err.
	Quiet bool
	// Verbose counts --verbose.
	Verbose int
	// Prompts says that questions may be asked.
	Prompts bool
	// Spins says that Err may show something that moves while one waits.
	Spins bool
	// Secrets are values to redact wherever this package writes to Err.
	Secrets *Secrets

	mu sync.Mutex // guards writes of whole lines to Err
}

// System makes the streams of this process. Nothing is read or written.
func System(env Env) *Streams {
	s := &Streams{
		In: os.Stdin, Out: product{os.Stdout}, Err: os.Stderr,
		InTTY:   term.IsTerminal(int(os.Stdin.Fd())),
		OutTTY:  term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY:  term.IsTerminal(int(os.Stderr.Fd())),
		InData:  hasData(os.Stdin),
		Secrets: &Secrets{},
	}
	if s.OutTTY {
		s.Width = columns(env, int(os.Stdout.Fd()))
	}
	s.decide(env)
	return s
}

// Buffers makes streams on in, out and errs that are no terminals, for tests
// and for commands inside commands. A nil in has no data.
func Buffers(env Env, in io.Reader, out, errs io.Writer) *Streams {
	s := &Streams{In: in, Out: product{out}, Err: errs, InData: in != nil, Secrets: &Secrets{}}
	if in == nil {
		s.In = eof{}
	}
	s.decide(env)
	return s
}

// eof is an empty stdin.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (s *Streams) decide(env Env) {
	s.OutColor, s.ErrColor = useColor(env, s.OutTTY), useColor(env, s.ErrTTY)
	s.Glyphs = useGlyphs(env)
	s.Prompts = s.InTTY && s.ErrTTY && env("CI") == ""
	s.Spins = s.ErrTTY && env("TERM") != "dumb" && env("ACCESSIBLE") == "" && env("CI") == ""
}

// hasData reports whether f is something a user fed us: a pipe, file or socket.
func hasData(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	m := info.Mode()
	return m.IsRegular() || m&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// columns gives the width of a terminal: COLUMNS if set, else what it says.
func columns(env Env, fd int) int {
	if n, err := strconv.Atoi(env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if w, _, err := term.GetSize(fd); err == nil && w > 0 {
		return w
	}
	return 80
}

// Settings are the global flags that change streams.
type Settings struct {
	JSON, Quiet, NoColor, NoInput bool
	Verbose                       int
}

// Settle applies the flags. It is called once, before the command runs.
func (s *Streams) Settle(o Settings) {
	s.JSON, s.Quiet, s.Verbose = o.JSON, o.Quiet, o.Verbose
	if o.NoColor || o.JSON {
		s.OutColor, s.ErrColor = false, false
	}
	s.Prompts = s.Prompts && !o.NoInput && !o.JSON
	s.Spins = s.Spins && !o.JSON && !o.Quiet && o.Verbose == 0 // log lines would run into it
}

// Note writes one line of conversation to Err: status, progress, a hint. It is
// escaped and redacted. Under --json and --quiet nothing is written.
func (s *Streams) Note(format string, args ...any) {
	if !s.JSON && !s.Quiet {
		s.line("", fmt.Sprintf(format, args...))
	}
}

// Warn is Note with the word "warning:" in front.
func (s *Streams) Warn(format string, args ...any) {
	if !s.JSON && !s.Quiet {
		s.line(Yellow.Paint(s.ErrColor, "warning:")+" ", fmt.Sprintf(format, args...))
	}
}

// Marked is Note with a mark in front, aligned for lists of steps.
func (s *Streams) Marked(m Mark, format string, args ...any) {
	if s.JSON || s.Quiet {
		return
	}
	word := m.Text(s.Glyphs && s.ErrTTY)
	s.line(m.Style().Paint(s.ErrColor, word)+strings.Repeat(" ", max(1, 6-Columns(word))), fmt.Sprintf(format, args...))
}

// Signed is Note with a coloured sign in front, for the lines of a plan.
func (s *Streams) Signed(style Style, sign, text string) {
	if !s.JSON && !s.Quiet {
		s.line(style.Paint(s.ErrColor, Escape(sign)), text)
	}
}

// line writes one line; an error is not reported, because there is nowhere to.
func (s *Streams) line(mark, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.Err, mark+Escape(s.Secrets.Redact(text))+"\n")
}

// Problem prints p on Err, as text or, under --json, as one JSON object.
func (s *Streams) Problem(p Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.JSON {
		_ = p.PrintJSON(s.Err, s.Secrets)
		return
	}
	_ = p.PrintText(s.Err, Red.Paint(s.ErrColor, "error:"), s.Secrets)
}

// Shown returns text as it may be printed on Out: escaped if Out is a terminal,
// unchanged otherwise, so that a pipe gets the bytes as they are.
func (s *Streams) Shown(text string) string {
	if s.OutTTY {
		return Escape(text)
	}
	return text
}
