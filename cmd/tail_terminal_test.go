//go:build unix

package cmd

import (
	"encoding/base64"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/term"
)

// wantRestored holds a terminal to how it was before a full-screen program.
func wantRestored(t *testing.T, tty *os.File, before *term.State, shown string) {
	t.Helper()
	if before != nil {
		after, err := term.GetState(int(tty.Fd()))
		if err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("line settings %+v, were %+v, %v", after, before, err)
		}
	}
	for _, mode := range []struct{ name, on, off string }{
		{"the main screen", "\x1b[?1049h", "\x1b[?1049l"},
		{"the cursor", "\x1b[?25l", "\x1b[?25h"},
		{"the mouse", "\x1b[?1002h", "\x1b[?1002l"},
		{"the form of mouse reports", "\x1b[?1006h", "\x1b[?1006l"},
		{"pasting", "\x1b[?2004h", "\x1b[?2004l"},
	} {
		if on, off := strings.LastIndex(shown, mode.on), strings.LastIndex(shown, mode.off); on > off { // what was never changed is as it was
			t.Errorf("%s is not restored: %q", mode.name, shown)
		}
	}
}

func TestTailRestoresTheTerminal(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	key := func(k string) func(*terminal) error {
		return func(term *terminal) error { _, err := io.WriteString(term.tty, k); return err }
	}
	for _, c := range []struct {
		rule string
		end  func(*terminal) error
		code int
	}{
		{"q", key("q"), 0},
		{"ctrl-c", key("\x03"), 130},
		{"ctrl-c while typing a filter", key("fx\x03"), 130},
		{"SIGTERM", func(term *terminal) error { return term.cmd.Process.Signal(syscall.SIGTERM) }, 143},
		{"SIGINT", func(term *terminal) error { return term.cmd.Process.Signal(os.Interrupt) }, 130},
	} {
		t.Run(c.rule, func(t *testing.T) {
			term, before := fullScreen(t, child(t, t.TempDir(), nil, "tail", "chat", "--url", url))
			term.await(t, "open")
			if err := c.end(term); err != nil {
				t.Fatal(err)
			}
			shown, code := term.end(t)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			wantRestored(t, term.tty, before, shown)
			_, after, _ := strings.Cut(shown, "\x1b[?1049l")
			for _, line := range []string{"0 messages, 0 bytes on 1 topic in ", "0 kept, 0 dropped from the buffer, 0 published\n", "open at the end (" + url + "), 0 reconnects, 0 gaps\n"} {
				if !strings.Contains(after, line) {
					t.Errorf("no %q in %q", line, after)
				}
			}
		})
	}
}

// fullScreen starts c on a terminal and gives the settings from before, nil where
// they cannot be asked for once the child has ended.
func fullScreen(t *testing.T, c *exec.Cmd) (*terminal, *term.State) {
	t.Helper()
	on := onTerminal(t, 80, c)
	if runtime.GOOS != "linux" {
		return on, nil
	}
	// The settings a new pseudo-terminal has; the child may have changed its own
	// already.
	fresh := onTerminal(t, 80, child(t, t.TempDir(), nil, "version"))
	fresh.end(t)
	before, err := term.GetState(int(fresh.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return on, before
}

func TestTailThatPanicsRestoresTheTerminal(t *testing.T) {
	for _, where := range []string{"feed", "model"} {
		t.Run(where, func(t *testing.T) {
			dir := t.TempDir()
			c := child(t, dir, []string{"TMPDIR=" + dir}, "panictail", where)
			program, err := exec.LookPath("pubsubctl-panic")
			if err != nil {
				t.Fatal(err)
			}
			c.Path, c.Args[0] = program, program
			term, before := fullScreen(t, c)
			shown, code := term.end(t)
			if code != 70 || !strings.Contains(shown, "pubsubctl made a mistake and has to stop") || strings.Contains(shown, "goroutine") {
				t.Errorf("exit %d: %q", code, shown)
			}
			wantRestored(t, term.tty, before, shown)
			reports, _ := filepath.Glob(filepath.Join(dir, "pubsubctl-report-*.txt"))
			if len(reports) != 1 {
				t.Fatalf("reports %v", reports)
			}
			report, err := os.ReadFile(reports[0])
			if err != nil || !strings.Contains(string(report), "buggy") || strings.Contains(string(report), "s3cret") {
				t.Errorf("the report does not show where it was, or holds a secret: %v\n%s", err, report)
			}
		})
	}
}

func TestTailAsksAgainWhereNothingAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	term := onTerminal(t, 80, child(t, t.TempDir(), nil, "tail", "chat", "--url", "http://"+address))
	// A wait is random down to nothing, so that one attempt may pass between two frames.
	term.awaitMatch(t, `reconnecting, attempt [2-9]`)
	if _, err := io.WriteString(term.tty, "q"); err != nil {
		t.Fatal(err)
	}
	shown, code := term.end(t)
	if code != 0 || !strings.Contains(shown, "0 reconnects, 0 gaps: cannot reach http://"+address) {
		t.Errorf("exit %d: %q", code, shown)
	}
}

// TestCommandsDoNotAskTheTerminal guards against a toolkit that writes queries to
// the terminal when it is merely linked in. This terminal never answers: what
// waits for it takes seconds.
func TestCommandsDoNotAskTheTerminal(t *testing.T) {
	color := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, c := range []struct {
		args []string
		says string
		code int
	}{
		{[]string{"version"}, "pubsubctl ", 0},
		{[]string{"--help"}, "Usage:", 0},
		{[]string{"token", "mint", "--read", "chat"}, "eyJ", 0},
		{[]string{"no-such-command"}, "unknown command", 2},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			shown, code := onTerminal(t, 80, child(t, t.TempDir(), []string{"TERM=xterm-256color"}, c.args...)).end(t)
			if code != c.code || !strings.Contains(shown, c.says) {
				t.Errorf("exit %d: %q", code, shown)
			}
			if strings.Contains(color.ReplaceAllString(shown, ""), "\x1b") {
				t.Errorf("the terminal is sent more than text: %q", shown)
			}
		})
	}
}

func TestTailWithoutMouseOrColor(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	term := onTerminal(t, 80, child(t, t.TempDir(), []string{"NO_COLOR=1"}, "tail", "chat", "--no-mouse", "--url", url))
	term.await(t, "open")
	if _, err := io.WriteString(term.tty, "q"); err != nil {
		t.Fatal(err)
	}
	shown, _ := term.end(t)
	for _, sequence := range []string{"\x1b[?1002h", "\x1b[3", "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b]1", "\x1b[6n", "\x1b[c"} {
		if strings.Contains(shown, sequence) {
			t.Errorf("%q in %q", sequence, shown)
		}
	}
}

func TestTailPutsTheCursorWhereOneTypes(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	term := onTerminal(t, 80, child(t, t.TempDir(), nil, "tail", "chat", "--url", url))
	term.await(t, "open")
	for _, step := range []struct{ keys, row24 string }{
		{"fab", "\x1b[24;11H"},
		{"\x1b[D", "\x1b[24;10H"},               // left
		{"\x1b[200~é漢\x1b[201~", "\x1b[24;13H"}, // pasted
	} {
		if _, err := io.WriteString(term.tty, step.keys); err != nil {
			t.Fatal(err)
		}
		term.await(t, step.row24)
	}
	if shown, _, _ := term.look(); !strings.Contains(shown, "\x1b[?25h") || strings.Contains(shown, "_cursor") {
		t.Errorf("no cursor, or its mark, in %q", shown)
	}
}

func TestTailCopiesThroughTheTerminal(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	mustPublish(t, url, "chat", "to the clipboard", "--retain")
	term := onTerminal(t, 80, child(t, t.TempDir(), []string{"SSH_TTY=/dev/pts/0"}, "tail", "chat", "--durable", "--url", url))
	term.await(t, "to the clipboard")
	if _, err := io.WriteString(term.tty, "y"); err != nil {
		t.Fatal(err)
	}
	term.await(t, "\x1b]52;c;"+base64.StdEncoding.EncodeToString([]byte("to the clipboard"))+"\x07")
}
