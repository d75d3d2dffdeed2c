//go:build unix

package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// These tests run the command line as a process, on a pseudo-terminal and with
// pipes that are closed early.

// child prepares a run of the command line in a directory of its own, with no
// environment but what is given.
func child(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := exec.LookPath("pubsubctl") // TestMain put it into the path
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o700); err != nil { // project files are looked for up to here
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = dir
	c.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "GORACE=" + raceExit}, env...)
	return c
}

// terminal is a child on a pseudo-terminal.
type terminal struct {
	cmd *exec.Cmd
	tty *os.File

	mu   sync.Mutex // guards the following
	seen bytes.Buffer
	grew chan struct{} // closed and replaced at each read
	done bool
}

// onTerminal starts c on a terminal of so many columns and 24 lines.
func onTerminal(t *testing.T, columns uint16, c *exec.Cmd) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{cmd: c, tty: tty, grew: make(chan struct{})}
	read := make(chan struct{})
	go func() { // ends when the child has closed its side
		defer close(read)
		term.copy()
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		<-read
	})
	return term
}

func (t *terminal) copy() {
	b := make([]byte, 4096)
	for {
		n, err := t.tty.Read(b)
		t.mu.Lock()
		t.seen.Write(b[:n])
		t.done = t.done || err != nil
		close(t.grew)
		t.grew = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return // EIO, once nobody has the other side
		}
	}
}

func (t *terminal) look() (text string, grew <-chan struct{}, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String(), t.grew, t.done
}

// await waits until the screen shows text.
func (t *terminal) await(tb testing.TB, text string) {
	tb.Helper()
	t.awaitMatch(tb, regexp.QuoteMeta(text))
}

// awaitMatch waits until what was shown has a match of the expression.
func (t *terminal) awaitMatch(tb testing.TB, expression string) {
	tb.Helper()
	wanted := regexp.MustCompile(expression)
	late := time.After(20 * time.Second)
	for {
		seen, grew, done := t.look()
		if wanted.MatchString(seen) {
			return
		}
		if done {
			tb.Fatalf("ended without %q: %q", expression, seen)
		}
		select {
		case <-grew:
		case <-late:
			tb.Fatalf("no %q: %q", expression, seen)
		}
	}
}

// end waits for the child and gives what was shown and the exit code.
func (t *terminal) end(tb testing.TB) (shown string, code int) {
	tb.Helper()
	late := time.After(20 * time.Second)
	for {
		_, grew, done := t.look()
		if done {
			break
		}
		select {
		case <-grew:
		case <-late:
			tb.Fatal("the child does not end")
		}
	}
	err := t.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	shown, _, _ = t.look()
	return strings.ReplaceAll(shown, "\r\n", "\n"), t.cmd.ProcessState.ExitCode()
}

// withContexts makes a directory with a contexts file.
func withContexts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := "version = 1\ncurrent = \"production-frankfurt\"\n[contexts.production-frankfurt]\n" +
		"url = \"https://a-rather-long-name-for-a-service.edgecompute.app\"\nservice_id = \"SU1Z0isxPaozGVKXdv0eY\"\n" +
		"key = { id = \"ab12cd34\", secret = \"env:KEY\" }\n"
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPromptOnATerminal(t *testing.T) {
	for _, c := range []struct {
		rule, typed, shows string
		code               int
		kept               bool
	}{
		{"yes deletes", "y\r", "deleted context production-frankfurt", 0, false},
		{"no keeps", "n\r", "not deleted", 1, true},
		{"enter keeps", "\r", "not deleted", 1, true},
		{"ctrl-c interrupts", "\x03", "", 130, true},
		{"ctrl-d keeps", "\x04", "not deleted", 1, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			dir := withContexts(t)
			term := onTerminal(t, 80, child(t, dir, nil, "context", "delete", "production-frankfurt", "--config", "config.toml"))
			term.await(t, "delete context production-frankfurt? [y/N] ")
			if _, err := io.WriteString(term.tty, c.typed); err != nil {
				t.Fatal(err)
			}
			shown, code := term.end(t)
			if code != c.code || !strings.Contains(shown, c.shows) {
				t.Errorf("exit %d: %q", code, shown)
			}
			text, err := os.ReadFile(filepath.Join(dir, "config.toml"))
			if kept := strings.Contains(string(text), "[contexts.production-frankfurt]"); err != nil || kept != c.kept {
				t.Errorf("kept %v, %v", kept, err)
			}
		})
	}
}

func TestNoPromptWhereItIsNotAllowed(t *testing.T) {
	for _, c := range []struct {
		rule string
		env  []string
		args []string
	}{
		{"--no-input", nil, []string{"--no-input"}},
		{"PUBSUBCTL_NO_INPUT", []string{"PUBSUBCTL_NO_INPUT=1"}, nil},
		{"--json", nil, []string{"--json"}},
		{"CI", []string{"CI=1"}, nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			dir := withContexts(t)
			args := append([]string{"context", "delete", "production-frankfurt", "--config", "config.toml"}, c.args...)
			shown, code := onTerminal(t, 80, child(t, dir, c.env, args...)).end(t)
			if code != 2 || !strings.Contains(shown, "nobody can be asked") || !strings.Contains(shown, "--yes") {
				t.Errorf("exit %d: %q", code, shown)
			}
		})
	}
}

func TestColorOnATerminal(t *testing.T) {
	const red = "\x1b[31merror:\x1b[0m"
	for _, c := range []struct {
		rule  string
		env   []string
		args  []string
		color bool
	}{
		{"a terminal", nil, nil, true},
		{"NO_COLOR", []string{"NO_COLOR=1"}, nil, false},
		{"TERM=dumb", []string{"TERM=dumb"}, nil, false},
		{"--no-color", []string{"CLICOLOR_FORCE=1"}, []string{"--no-color"}, false},
		{"--json", nil, []string{"--json"}, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			args := append([]string{"context", "use", "n\x1b[2Jo"}, c.args...)
			shown, code := onTerminal(t, 80, child(t, t.TempDir(), c.env, args...)).end(t)
			if code != 5 || strings.Contains(shown, red) != c.color || strings.Contains(shown, "\x1b[2J") {
				t.Errorf("exit %d: %q", code, shown)
			}
			if !c.color && strings.Contains(shown, "\x1b") {
				t.Errorf("escapes without colour: %q", shown)
			}
		})
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	for _, columns := range []uint16{40, 80, 200} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			c := child(t, withContexts(t), []string{"NO_COLOR=1"}, "context", "list", "--config", "config.toml")
			shown, code := onTerminal(t, columns, c).end(t)
			if code != 0 {
				t.Errorf("exit %d", code)
			}
			golden(t, fmt.Sprintf("context_list_%d.txt", columns), shown)
		})
	}
	c := child(t, withContexts(t), nil, "context", "list", "--json", "--config", "config.toml")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "context_list.json", string(out))
}

func TestClosedPipeIsNoError(t *testing.T) {
	for _, args := range [][]string{{"help", "exit-codes"}, {"--help"}, {"publish", "--help"}, {"help"}, {"version"}, {"version", "--json"}, {"context", "list"}, {"completion", "bash"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			var errs bytes.Buffer
			c := child(t, t.TempDir(), nil, args...)
			c.Stdout, c.Stderr = w, &errs
			err = c.Run()
			w.Close()
			if err != nil || errs.Len() > 0 {
				t.Errorf("%v: %q", err, errs.String())
			}
		})
	}
}
