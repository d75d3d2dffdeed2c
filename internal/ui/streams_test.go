package ui

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestColorDecision(t *testing.T) {
	for _, c := range []struct {
		rule string
		env  []string
		tty  bool
		want bool
	}{
		{"a terminal has colour", nil, true, true},
		{"a pipe has none", nil, false, false},
		{"NO_COLOR", []string{"NO_COLOR=1"}, true, false},
		{"an empty NO_COLOR is unset", []string{"NO_COLOR="}, true, true},
		{"CLICOLOR=0", []string{"CLICOLOR=0"}, true, false},
		{"a dumb terminal", []string{"TERM=dumb"}, true, false},
		{"CLICOLOR_FORCE for pipes", []string{"CLICOLOR_FORCE=1"}, false, true},
		{"CLICOLOR_FORCE=0 forces nothing", []string{"CLICOLOR_FORCE=0"}, false, false},
		{"NO_COLOR beats CLICOLOR_FORCE", []string{"NO_COLOR=1", "CLICOLOR_FORCE=1"}, false, false},
		{"the last of a name wins", []string{"NO_COLOR=1", "NO_COLOR="}, true, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := useColor(EnvOf(c.env), c.tty); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestGlyphsFollowTheLocale(t *testing.T) {
	for env, want := range map[string]bool{"LANG=en_US.UTF-8": true, "LANG=C": false, "LC_ALL=C.utf8": true, "": false} {
		if got := useGlyphs(EnvOf([]string{env})); got != want {
			t.Errorf("%s: got %v", env, got)
		}
	}
	if useGlyphs(EnvOf([]string{"LANG=C.UTF-8", "ACCESSIBLE=1"})) {
		t.Error("ACCESSIBLE keeps glyphs")
	}
	if useGlyphs(EnvOf([]string{"LANG=C.UTF-8", "LC_ALL=POSIX"})) {
		t.Error("LANG beats LC_ALL")
	}
	if MarkFail.Text(false) != "FAIL" || MarkOK.Text(true) == "ok" || MarkWarn.Style() != Yellow {
		t.Error("marks are mixed up")
	}
}

func TestNotesObeyFlags(t *testing.T) {
	for _, c := range []struct {
		set  Settings
		want string
	}{
		{Settings{}, "hello \\x1b\nwarning: careful\n"},
		{Settings{Quiet: true}, ""},
		{Settings{JSON: true}, ""},
	} {
		s, errs := quiet()
		s.Settle(c.set)
		s.Note("hello %s", "\x1b")
		s.Warn("careful")
		if errs.String() != c.want {
			t.Errorf("%+v: got %q, want %q", c.set, errs, c.want)
		}
	}
}

func TestFlagsBeatTheEnvironmentForColor(t *testing.T) {
	s := Buffers(EnvOf([]string{"CLICOLOR_FORCE=1"}), nil, io.Discard, io.Discard)
	if !s.OutColor || !s.ErrColor {
		t.Fatal("CLICOLOR_FORCE is not obeyed")
	}
	s.Settle(Settings{NoColor: true})
	if s.OutColor || s.ErrColor {
		t.Error("--no-color is not obeyed")
	}
	if Red.Paint(false, "x") != "x" || Red.Paint(true, "x") != "\x1b[31mx\x1b[0m" || Red.Paint(true, "") != "" {
		t.Error("paint is wrong")
	}
}

func TestStdinOfBuffers(t *testing.T) {
	s := Buffers(EnvOf(nil), nil, io.Discard, io.Discard)
	if b, err := io.ReadAll(s.In); len(b) != 0 || err != nil || s.InData {
		t.Errorf("no stdin: %q %v", b, err)
	}
	if s := Buffers(EnvOf(nil), strings.NewReader("x"), io.Discard, io.Discard); !s.InData {
		t.Error("stdin with data is not seen")
	}
}

func TestShownEscapesOnTerminalsOnly(t *testing.T) {
	s, _ := quiet()
	if s.Shown("\x1b") != "\x1b" {
		t.Error("a pipe does not get the bytes")
	}
	s.OutTTY = true
	if s.Shown("\x1b") != `\x1b` {
		t.Error("a terminal gets the bytes")
	}
}

func TestClosedReaderIsToldApart(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	s := Buffers(EnvOf(nil), nil, w, io.Discard)
	if _, err := io.WriteString(s.Out, "x"); !errors.Is(err, ErrReaderGone) {
		t.Errorf("got %v", err)
	}
	if !brokenPipe(syscall.EPIPE) || brokenPipe(io.ErrShortWrite) || brokenPipe(nil) {
		t.Error("broken pipes are mixed up")
	}
}

func TestQuestionsAreRefusedWhereNobodyCanAnswer(t *testing.T) {
	terminal := func(env ...string) *Streams {
		s := Buffers(EnvOf(env), strings.NewReader("y\n"), io.Discard, io.Discard)
		s.InTTY, s.ErrTTY = true, true
		s.decide(EnvOf(env))
		return s
	}
	for _, c := range []struct {
		rule string
		s    *Streams
		set  Settings
		ask  bool
	}{
		{"on a terminal", terminal(), Settings{}, true},
		{"not with --no-input", terminal(), Settings{NoInput: true}, false},
		{"not with --json", terminal(), Settings{JSON: true}, false},
		{"not in CI", terminal("CI=true"), Settings{}, false},
		{"not in a pipe", Buffers(EnvOf(nil), strings.NewReader("y\n"), io.Discard, io.Discard), Settings{}, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			c.s.Settle(c.set)
			yes, err := c.s.Confirm(t.Context(), "sure?", "pubsubctl x --yes")
			var p Problem
			switch {
			case c.ask && (err != nil || !yes):
				t.Errorf("got %v, %v", yes, err)
			case !c.ask && (!errors.As(err, &p) || p.Exit() != ExitUsage || p.Next != "pubsubctl x --yes"):
				t.Errorf("got %v, %v", yes, err)
			}
		})
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " yes \n": true, "\n": false, "no\n": false, "yep\n": false, "": false} {
		s := Buffers(EnvOf(nil), strings.NewReader(answer), io.Discard, io.Discard)
		s.Prompts = true
		if got, err := s.Confirm(t.Context(), "?", ""); got != want || err != nil {
			t.Errorf("%q: got %v, %v", answer, got, err)
		}
	}
}

func TestQuestionEndsWithItsContext(t *testing.T) {
	in, w := io.Pipe()
	defer w.Close()
	s := Buffers(EnvOf(nil), in, io.Discard, io.Discard)
	s.Prompts = true
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if _, err := s.Ask(ctx, "?", ""); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}
