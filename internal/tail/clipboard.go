package tail

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// clipboardLimit is how long a clipboard program may take.
const clipboardLimit = 2 * time.Second

// doneMsg is the outcome of something done in the background.
type doneMsg struct {
	text string
	err  error
}

func (m Model) done(d doneMsg) Model {
	if d.err != nil {
		return m.complain(d.err.Error())
	}
	return m.say(d.text)
}

// copy puts the payload of the selected message into the clipboard: through the
// system's own program where this terminal is a local one, else by OSC 52, which
// reaches the terminal's machine through any number of hops but is never
// answered. A console that knows neither gets a file.
func (m Model) copy() (Model, tea.Cmd) {
	e := m.selected()
	if e == nil || e.kind != kindMessage {
		return m.say("no message is selected"), nil
	}
	env := ui.EnvOf(m.o.Environ)
	size := sizeText(uint64(len(e.data)))
	if words := clipboardProgram(env, runtime.GOOS); words != nil {
		ctx, data, ask := m.feeds.ctx, e.data, m.askTerminal(e.data)
		return m, func() tea.Msg { return copyBy(ctx, words, data, ask) }
	}
	if env("TERM") == "linux" {
		data := e.data
		return m, func() tea.Msg { return copyToFile(data) }
	}
	return m.say(fmt.Sprintf("sent %s to the terminal's clipboard (OSC 52)", size)), m.askTerminal(e.data)
}

// askTerminal hands data to the terminal's clipboard by OSC 52.
func (m Model) askTerminal(data []byte) tea.Cmd {
	out := m.o.Out
	return func() tea.Msg {
		if _, err := io.WriteString(out, ansi.SetSystemClipboard(string(data))); err != nil {
			return doneMsg{err: err}
		}
		return nil
	}
}

// clipboardProgram is the program that reaches the clipboard of the screen this
// runs on, nil if there is none. tmux takes OSC 52 only if it is told to, but has
// a command of its own, which also passes the text on to the outer terminal.
func clipboardProgram(env ui.Env, system string) []string {
	for _, c := range [...]struct {
		here  bool
		words []string
	}{
		{env("TMUX") != "", []string{"tmux", "load-buffer", "-w", "-"}},
		{env("SSH_TTY") != "" || env("SSH_CONNECTION") != "", nil},
		{system == "darwin", []string{"pbcopy"}},
		{system == "windows", []string{"clip.exe"}},
		{env("WAYLAND_DISPLAY") != "", []string{"wl-copy"}},
		{env("DISPLAY") != "", []string{"xclip", "-selection", "clipboard"}},
		{env("DISPLAY") != "", []string{"xsel", "--clipboard", "--input"}},
	} {
		if !c.here {
			continue
		}
		if c.words == nil {
			return nil
		}
		if _, err := exec.LookPath(c.words[0]); err == nil {
			return c.words
		}
	}
	return nil
}

// copyBy gives data to a program. If that fails, the terminal is asked.
func copyBy(ctx context.Context, words []string, data []byte, ask tea.Cmd) tea.Msg {
	ctx, cancel := context.WithTimeout(ctx, clipboardLimit)
	defer cancel()
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stdin, c.WaitDelay = bytes.NewReader(data), time.Second
	if err := c.Run(); err != nil {
		return tea.BatchMsg{
			ask,
			func() tea.Msg {
				return doneMsg{text: fmt.Sprintf("%s failed; sent to the terminal's clipboard (OSC 52)", words[0])}
			},
		}
	}
	return doneMsg{text: fmt.Sprintf("copied %s (%s)", sizeText(uint64(len(data))), words[0])}
}

func copyToFile(data []byte) tea.Msg {
	f, err := os.CreateTemp("", "pubsubctl-message-*")
	if err != nil {
		return doneMsg{err: fmt.Errorf("this terminal has no clipboard, and %w", err)}
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return doneMsg{err: err}
	}
	return doneMsg{text: "this terminal has no clipboard; the payload is in " + f.Name()}
}
