//go:build unix

package cmd

import (
	"io"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/term"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// modes are those of a terminal.
func modes(t *testing.T, screen *terminal) *term.State {
	t.Helper()
	s, err := term.GetState(int(screen.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setupTerminal runs setup on a terminal, as far as the password, and gives the
// modes the terminal had before.
func setupTerminal(t *testing.T, h *hostedService) (screen *terminal, before *term.State) {
	t.Helper()
	h.setenv("PUBSUBCTL_YES", "")
	c := child(t, h.home, h.environ, "setup", "--name", "chat", "--package", "app.tar.gz", "--app-url", h.relay.Ready().Hub)
	screen = onTerminal(t, 80, c)
	screen.await(t, "[y/N] ")
	before = modes(t, screen)
	answer(t, screen, "set service chat up so? [y/N] ", "y")
	answer(t, screen, "(Enter to paste a token): ", fastlytest.DefaultLogin)
	screen.await(t, "password, which does not show: ")
	return screen, before
}

// answer waits for a question and types a line.
func answer(t *testing.T, screen *terminal, question, line string) {
	t.Helper()
	screen.await(t, question)
	if _, err := io.WriteString(screen.tty, line+"\r"); err != nil {
		t.Fatal(err)
	}
}

// TestPasswordDoesNotShow: nor does the one-time password; the rest is a service.
func TestPasswordDoesNotShow(t *testing.T) {
	const password, code = "typed-in-secret", "654321"
	h := ready(t, fastlytest.Options{Password: password, OTP: code})
	screen, _ := setupTerminal(t, h)
	answer(t, screen, "password, which does not show: ", password)
	answer(t, screen, "one-time password (Enter if your account has none): ", code)
	shown, exit := screen.end(t)
	if exit != 0 || strings.Contains(shown, password) || strings.Contains(shown, code) {
		t.Fatalf("exit %d: %s", exit, shown)
	}
	h.setenv("PUBSUBCTL_YES", "true")
	h.complete(t)
}

// TestInterruptedPasswordLeavesTheTerminal: Ctrl-C while nothing shows leaves a
// terminal that shows what is typed, and a run that can be gone on with.
func TestInterruptedPasswordLeavesTheTerminal(t *testing.T) {
	h := ready(t, fastlytest.Options{})
	screen, before := setupTerminal(t, h)
	if _, err := io.WriteString(screen.tty, "half\x03"); err != nil {
		t.Fatal(err)
	}
	shown, exit := screen.end(t)
	if exit != 9 || !strings.Contains(shown, "interrupted at publish-token, and part is done") || strings.Contains(shown, "half") {
		t.Errorf("exit %d: %s", exit, shown)
	}
	if after := modes(t, screen); !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was %+v and is %+v", before, after)
	}
}
